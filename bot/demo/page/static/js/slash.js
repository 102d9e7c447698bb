// Slash commands as a form: what the bot registered, with its descriptions, required marks,
// choices and suggestions.

import { el, freshId, iconButton } from "./dom.js";
import { upload } from "./uploads.js";

const SUGGEST_AFTER_MS = 250;
const [BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, ATTACHMENT] = [5, 6, 7, 8, 9, 11];

/** All commands that can be used, with the groups that they stand in spelled out. */
export function leaves(commands) {
  return commands.flatMap((command) => expand(command, command.name, command));
}

function expand(node, path, root) {
  const groups = (node.options ?? []).filter((option) => option.type === 1 || option.type === 2);
  if (groups.length) return groups.flatMap((group) => expand(group, `${path} ${group.name}`, root));
  return [{ path, description: node.description, options: node.options ?? [], root }];
}

/** The command that a typed line begins with, and the rest of the line; null where there is none. */
export function commandOf(line, commands) {
  const typed = line.slice(1);
  const fits = commands.filter(({ path }) => typed === path || typed.startsWith(`${path} `));
  const command = fits.sort((a, b) => b.path.length - a.path.length)[0];
  return command ? { command, rest: typed.slice(command.path.length).trim() } : null;
}

/** Values from a line such as `setting:temperature value:0.3`. */
export function valuesOf(rest, options) {
  const names = options.map((option) => option.name);
  const found = [...rest.matchAll(/(?:^|\s)([\p{L}\p{N}_-]{1,32}):/gu)].filter((each) => names.includes(each[1]));
  const values = found.map((each, index) => [each[1], rest.slice(each.index + each[0].length, found[index + 1]?.index).trim()]);
  if (!found.length && rest && options.length) values.push([options[0].name, rest]);
  return Object.fromEntries(values);
}

export class SlashForm {
  #fields = new Map();
  #asked = 0;
  #isAsking = false;
  #isEntered = false;
  #timer = 0;

  /**
   * @param {object} command - One of `leaves`.
   * @param {object} values - What was typed already, by option.
   * @param {{app: object, suggestions: Suggestions, send: function, cancel: function}} around
   */
  constructor(command, values, around) {
    Object.assign(this, { command, ...around });
    this.hint = el("p.slash-hint", { id: freshId("hint"), role: "status" });
    this.row = el("div.slash-row");
    this.optional = el("div.slash-more");
    this.node = el("div.slash", { role: "group", "aria-label": `/${command.path}` }, this.hint, el("div.slash-line", {}, el("span.slash-name", {}, `/${command.path}`), this.row, this.optional));
    for (const option of command.options) if (option.required || option.name in values) this.#addField(option, values[option.name]);
    this.#drawOptional();
    this.#say(null);
    if (!this.#fields.size) this.node.append(this.#bareField());
  }

  /** Put the focus into the first field that is empty. */
  focus() {
    const fields = [...this.#fields.values()];
    (fields.find((field) => !field.input.value) ?? fields.at(-1) ?? { input: this.node.querySelector("input") }).input.focus();
  }

  /** A command without options still needs a place for the keys. */
  #bareField() {
    const input = el("input.bare", { "aria-label": `/${this.command.path}: press Enter to use it`, placeholder: "Press Enter to use it", readonly: true });
    input.addEventListener("keydown", (event) => this.#key(event, null));
    return input;
  }

  #say(option, problem = "") {
    const what = option ? `${option.name}: ${option.description}` : this.command.description;
    this.hint.textContent = problem || what;
    this.hint.classList.toggle("problem", Boolean(problem));
  }

  #addField(option, value = "") {
    const id = freshId("option");
    const input = option.type === ATTACHMENT
      ? el("input", { type: "file", id })
      : el("input", {
        id, role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
        "aria-required": option.required ? "true" : null, "aria-describedby": this.hint.id, maxlength: option.max_length, inputmode: [4, 10].includes(option.type) ? "decimal" : null,
      });
    const field = { option, input, chosen: null, isTyped: false };
    if (option.type !== ATTACHMENT) this.#fill(field, value);
    const required = option.required ? el("span.required", { "aria-hidden": "true" }, "*") : null;
    this.row.append(el("span.option", {}, el("label", { for: id }, option.name, required), input, option.required ? null : iconButton("close", `Leave out ${option.name}`, () => this.#dropField(field))));
    this.#fields.set(option.name, field);
    input.addEventListener("input", () => { field.chosen = null; field.isTyped = true; input.removeAttribute("aria-invalid"); this.#fitWidth(input); this.#suggest(field); });
    input.addEventListener("focus", () => { this.#say(option); this.#suggest(field); });
    input.addEventListener("blur", () => this.suggestions.hide());
    input.addEventListener("keydown", (event) => this.#key(event, field));
    return field;
  }

  #fill(field, value) {
    field.input.value = value;
    const choice = this.#choices(field.option).find((each) => String(each.value) === value || each.name.toLowerCase() === value.toLowerCase());
    if (choice) this.#choose(field, choice);
    this.#fitWidth(field.input);
  }

  #dropField(field) {
    field.input.closest(".option").remove();
    this.#fields.delete(field.option.name);
    this.#drawOptional();
    this.focus();
  }

  #fitWidth(input) {
    input.style.width = `${Math.min(Math.max(input.value.length + 2, 8), 48)}ch`;
  }

  #drawOptional() {
    const left = this.command.options.filter((option) => !this.#fields.has(option.name));
    this.optional.replaceChildren(...left.map((option) => el("button.chip", {
      type: "button", title: option.description,
      onclick: () => { this.#addField(option); this.#drawOptional(); this.#fields.get(option.name).input.focus(); },
    }, `+ ${option.name}`)));
  }

  /** What an option's value can be, where the page knows it. */
  #choices(option) {
    const { store } = this.app;
    if (option.choices?.length) return option.choices;
    if (option.type === BOOLEAN) return [{ name: "True", value: true }, { name: "False", value: false }];
    const users = () => Object.entries(store.users).map(([value, user]) => ({ name: user.name, value }));
    const roles = () => store.roles.map((role) => ({ name: role.name, value: role.id }));
    const channels = () => store.visibleChannels().filter((each) => each.kind !== "dm").map((each) => ({ name: `#${each.name}`, value: each.id }));
    return { [USER]: users, [ROLE]: roles, [CHANNEL]: channels, [MENTIONABLE]: () => [...users(), ...roles()] }[option.type]?.() ?? [];
  }

  #suggest(field) {
    const { option, input } = field;
    clearTimeout(this.#timer);
    this.#isAsking = Boolean(option.autocomplete);
    this.#isEntered = false;
    if (option.autocomplete) this.#timer = setTimeout(() => this.#askBot(field), input.value ? SUGGEST_AFTER_MS : 0);
    else {
      const typed = field.chosen ? "" : input.value.toLowerCase();
      this.#show(field, this.#choices(option).filter((choice) => choice.name.toLowerCase().includes(typed)));
    }
  }

  async #askBot(field) {
    const number = ++this.#asked;
    const options = Object.fromEntries([...this.#fields.values()].filter((each) => each !== field && each.input.value).map((each) => [each.option.name, each.chosen ? each.chosen.value : each.input.value]));
    const found = await this.app.connection
      .act("autocomplete", { person: this.app.store.me, channel: this.app.store.channelId, command: this.command.path, option: field.option.name, typed: field.input.value, options })
      .catch((error) => error);
    if (number !== this.#asked || document.activeElement !== field.input) return;
    this.#isAsking = false;
    if (found instanceof Error) this.#say(field.option, "Loading options failed. What you type is used as it is.");
    else this.#show(field, found.choices);
    if (!this.#isEntered) return;
    if (found.choices?.length) this.#pick(field, found.choices[0]);
    else this.submit();
  }

  #show(field, choices) {
    const shown = choices.slice(0, 25).map((choice) => ({ label: choice.name, choice }));
    const choose = field.input.value ? field.isTyped && !field.chosen : field.option.required;
    this.suggestions.show(field.input, shown, ({ choice }) => this.#pick(field, choice), { choose });
  }

  #pick(field, choice) {
    this.#choose(field, choice);
    const next = [...this.#fields.values()].find((each) => !each.input.value);
    if (next) next.input.focus();
  }

  #choose(field, choice) {
    field.chosen = choice;
    field.input.value = choice.name;
    field.input.removeAttribute("aria-invalid");
    this.#fitWidth(field.input);
  }

  #key(event, field) {
    if (event.key === "Enter" && this.#isAsking && field?.isTyped && !field.chosen) {
      this.#isEntered = true; // what is offered is of an earlier text: Enter means what is on its way
      return event.preventDefault();
    }
    if (field && !(event.key === "Enter" && field.chosen) && this.suggestions.key(event)) return;
    const isBackFromEmpty = event.key === "Backspace" && !event.target.value;
    if (event.key === "Enter" && !event.isComposing) this.submit();
    else if (event.key === "Escape" || (isBackFromEmpty && this.#isFirst(field))) this.cancel();
    else return;
    event.preventDefault();
  }

  #isFirst(field) {
    return !field || [...this.#fields.values()].every((each) => !each.input.value);
  }

  /** Check what was filled in and use the command. */
  async submit() {
    const options = {};
    for (const field of this.#fields.values()) {
      const problem = await this.#read(field, options);
      if (!problem) continue;
      field.input.setAttribute("aria-invalid", "true");
      field.input.focus();
      this.suggestions.hide();
      this.#say(field.option, problem);
      return;
    }
    this.send(this.command.path, options);
  }

  /** Put a field's value among the options; returns what is wrong with it, or nothing. */
  async #read({ option, input, chosen }, options) {
    if (!input.value) return option.required ? `${option.name} is required: ${option.description}` : "";
    if (option.type === ATTACHMENT) {
      const file = input.files[0];
      const sent = await upload(file.name, file).catch((error) => error);
      if (sent instanceof Error) return sent.message;
      options[option.name] = sent.id;
      return "";
    }
    const choices = option.autocomplete ? [] : this.#choices(option);
    const typed = input.value.trim().toLowerCase();
    const value = chosen ?? choices.find((choice) => choice.name.toLowerCase() === typed || String(choice.value).toLowerCase() === typed);
    if (choices.length && !value) return `${option.name} must be one of the choices.`;
    options[option.name] = value ? value.value : input.value;
    return "";
  }
}
