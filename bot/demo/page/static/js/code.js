// Code with its syntax in colours. The highlighter hands its findings to an emitter, which builds
// nodes here in the place of the HTML text that highlight.js makes on its own.

import hljs from "../vendor/highlight/core.min.js";
import bash from "../vendor/highlight/languages/bash.min.js";
import cpp from "../vendor/highlight/languages/cpp.min.js";
import diff from "../vendor/highlight/languages/diff.min.js";
import go from "../vendor/highlight/languages/go.min.js";
import ini from "../vendor/highlight/languages/ini.min.js";
import javascript from "../vendor/highlight/languages/javascript.min.js";
import json from "../vendor/highlight/languages/json.min.js";
import python from "../vendor/highlight/languages/python.min.js";
import sql from "../vendor/highlight/languages/sql.min.js";
import xml from "../vendor/highlight/languages/xml.min.js";
import yaml from "../vendor/highlight/languages/yaml.min.js";

import { el } from "./dom.js";

const LANGUAGES = {
  bash, cpp, diff, go, ini, javascript, json, python, sql, xml, yaml,
};
const LONGEST_CHARS = 8000;

/** What highlight.js tells about a text, as nodes (its interface: `__emitter`). */
class NodeEmitter {
  constructor() {
    this.root = document.createDocumentFragment();
    this.open = [this.root];
  }

  get top() {
    return this.open.at(-1);
  }

  addText(text) {
    if (text) this.top.append(text);
  }

  startScope(scope) {
    const node = el("span", { class: `code-${scope.split(".")[0]}` });
    this.top.append(node);
    this.open.push(node);
  }

  endScope() {
    this.open.pop();
  }

  openNode(scope) {
    this.startScope(scope);
  }

  closeNode() {
    this.endScope();
  }

  __addSublanguage(emitter) {
    this.top.append(emitter.root);
  }

  finalize() {}

  toHTML() {
    return "";
  }
}

// Languages of one family share a grammar here, which keeps the page small.
for (const [name, grammar] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, grammar);
hljs.registerAliases(["c", "h", "java", "cs", "csharp"], { languageName: "cpp" });
hljs.registerAliases(["ts", "tsx", "typescript"], { languageName: "javascript" });
hljs.configure({ __emitter: NodeEmitter });

/** Return code as nodes: in colours where the language is known, plain otherwise. */
export function highlighted(text, language) {
  if (!language || !hljs.getLanguage(language) || text.length > LONGEST_CHARS) {
    return document.createTextNode(text);
  }
  return hljs.highlight(text, { language, ignoreIllegals: true })._emitter.root;
}
