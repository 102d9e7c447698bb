// Windows over the page: a bot's forms, questions before something is lost, links that lead away.

import { el, freshId, iconButton } from "./dom.js";

/**
 * Open a dialog; the promise holds what `read` returned for the button that was pressed, or null
 * where it was closed.
 */
function ask({ title, body, actions, read }) {
  return new Promise((resolve) => {
    const heading = freshId("dialog");
    const form = el("form", { method: "dialog" }, body);
    const dialog = el(
      "dialog", { "aria-labelledby": heading },
      el("header", {}, el("h2", { id: heading }, title), iconButton("close", "Close", () => dialog.close())),
      form,
    );
    let result = null;
    form.append(el("footer", {}, actions.map((action) => actionButton(action, dialog))));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      result = read(event.submitter?.value);
      dialog.close();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); }, { once: true });
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[data-first]") ?? form.querySelector("button"))?.focus();
  });
}

function actionButton({ label, value, kind = "quiet" }, dialog) {
  if (value === undefined) return el(`button.${kind}`, { type: "button", onclick: () => dialog.close() }, label);
  return el(`button.${kind}`, { type: "submit", value }, label);
}

const CANCEL = { label: "Cancel" };

/** Ask before a link is followed; it opens in a new tab, without anything of this page. */
export async function askToLeave(href) {
  const address = el("p.address", {}, href);
  const go = await ask({
    title: "This link leaves the demo",
    body: [el("p", {}, "It leads to this address, which the demo knows nothing about:"), address],
    actions: [CANCEL, { label: "Open in a new tab", value: "go", kind: "primary" }],
    read: () => true,
  });
  if (go) window.open(href, "_blank", "noopener,noreferrer");
}

/** Ask before something is deleted. */
export function askToDelete(what) {
  return ask({
    title: "Delete message",
    body: [el("p", {}, "Delete this message for everybody?"), el("blockquote.preview", {}, what)],
    actions: [CANCEL, { label: "Delete", value: "delete", kind: "danger" }],
    read: () => true,
  });
}

/**
 * Ask for some lines of text.
 * @param {string} title
 * @param {{label: string, long?: boolean, required?: boolean, most?: number}[]} fields
 * @returns {Promise<string[] | null>}
 */
export function askFor(title, fields, button) {
  const inputs = fields.map(({ long, required = true, most }) =>
    el(long ? "textarea" : "input", { rows: long ? 4 : null, required, maxlength: most }));
  inputs[0].dataset.first = "";
  return ask({
    title,
    body: fields.map((field, index) => labelled(field.label, "", inputs[index], field.required !== false)),
    actions: [CANCEL, { label: button, value: "done", kind: "primary" }],
    read: () => inputs.map((input) => input.value),
  });
}

function labelled(label, description, control, required) {
  control.id = freshId("field");
  const hint = description ? el("span.hint", { id: freshId("hint") }, description) : null;
  if (hint) control.setAttribute("aria-describedby", hint.id);
  return el("div.field", {}, el("label", { for: control.id }, label, required ? el("span.required", { "aria-hidden": "true" }, " *") : null), hint, control);
}

/**
 * Show a bot's form.
 * @param {object} modal - Discord's modal: rows of text inputs, or labels around controls.
 * @returns {Promise<object | null>} What was filled in, by custom_id; null where it was closed.
 */
export function askForm(modal, store) {
  const controls = modal.components.map((part) => formPart(part, store)).filter(Boolean);
  const first = controls.find((each) => each.input);
  if (first) first.input.dataset.first = "";
  return ask({
    title: modal.title,
    body: controls.map((each) => each.node),
    actions: [CANCEL, { label: "Submit", value: "submit", kind: "primary" }],
    read: () => Object.fromEntries(controls.filter((each) => each.input).map(({ id, input }) => [id, input.multiple ? [...input.selectedOptions].map((o) => o.value) : input.value])),
  });
}

function formPart(part, store) {
  if (part.type === 10) return { node: el("p", {}, part.content) };
  const [label, description, control] = part.type === 18
    ? [part.label, part.description, part.component]
    : [part.components[0].label, "", part.components[0]];
  const input = control.type === 4 ? textInput(control) : choiceInput(control, store);
  return { id: control.custom_id, input, node: labelled(label, description, input, control.required !== false) };
}

function textInput(control) {
  return el(control.style === 2 ? "textarea" : "input", {
    value: control.value ?? "", placeholder: control.placeholder, required: control.required !== false,
    minlength: control.min_length, maxlength: control.max_length, rows: control.style === 2 ? 6 : null,
  });
}

function choiceInput(control, store) {
  const many = (control.max_values ?? 1) > 1;
  const options = optionsOf(control, store).map((option) =>
    el("option", { value: option.value, selected: option.default }, option.label));
  if (!many) options.unshift(el("option", { value: "" }, control.placeholder ?? "Choose"));
  return el("select", { multiple: many, required: control.required !== false }, options);
}

/** What a select menu offers: its own options, or the people, roles or channels that are here. */
export function optionsOf(control, store) {
  const people = () => Object.entries(store.users).map(([value, user]) => ({ value, label: user.name }));
  const roles = () => store.roles.map((role) => ({ value: role.id, label: role.name }));
  const channels = () => [...store.channels.values()].filter((each) => each.kind !== "dm").map((each) => ({ value: each.id, label: `#${each.name}` }));
  const offered = { 3: () => control.options, 5: people, 6: roles, 7: () => [...people(), ...roles()], 8: channels };
  return offered[control.type]?.() ?? [];
}
