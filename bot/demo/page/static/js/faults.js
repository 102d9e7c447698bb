// The panel's switches that break things, as the server describes them.

import { el, freshId } from "./dom.js";

/** Draw the faults; each control says what it does and what it waits for. */
export function showFaults(place, app) {
  const { store } = app;
  const draw = () => {
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.fault : null;
    const groups = [...new Set(store.faults.map((fault) => fault.group))];
    place.replaceChildren(
      el("p.lead", {}, "Break something, then watch the bot recover."),
      store.model.faults_why ? el("p.hint", {}, store.model.faults_why) : "",
      ...groups.map((group) => el("fieldset", {}, el("legend", {}, group), store.faults.filter((fault) => fault.group === group).map((fault) => row(fault, app)))),
    );
    if (focused) place.querySelector(`[data-fault="${focused}"]`)?.focus();
  };
  store.on("snapshot faults", draw);
}

function row(fault, app) {
  const [id, hint] = [freshId("fault"), freshId("hint")];
  const common = { id, "data-fault": fault.id, "aria-describedby": hint };
  return el("div.fault", { "data-on": isOn(fault) },
    el("span.fault-text", {}, el("label.fault-label", { for: id }, fault.label),
      el("span.hint", { id: hint }, fault.hint, fault.note ? el("span.armed", {}, ` ${fault.note}`) : null)),
    CONTROLS[fault.kind](fault, common, app));
}

const isOn = (fault) => Boolean(fault.note);

const CONTROLS = {
  switch: (fault, common, app) => el("button.switch", { ...common, type: "button", role: "switch", "aria-checked": String(fault.value), onclick: () => app.act("fault", { control: fault.id, value: !fault.value }) }, el("span")),
  choice: (fault, common, app) => el("select", { ...common, onchange: (event) => app.act("fault", { control: fault.id, value: event.target.value }) },
    fault.choices.map((choice) => el("option", { value: choice.value, selected: choice.value === fault.value }, choice.label))),
  button: (fault, common, app) => el("button.secondary", { ...common, type: "button", onclick: () => app.act("fault", { control: fault.id }) }, "Do it"),
};
