// Files that wait to be sent with a message: from the button, the clipboard, or dropped.

import { el, icon, iconButton } from "./dom.js";
import { size } from "./embed.js";

export class Uploads {
  #files = [];

  constructor(app) {
    this.app = app;
    this.node = el("ul.uploads", { "aria-label": "Files to send", hidden: true });
  }

  get count() {
    return this.#files.length;
  }

  get isReady() {
    return this.#files.every((each) => each.id);
  }

  get ids() {
    return this.#files.map((each) => each.id);
  }

  /** Take files in, as many as a message may have. */
  async add(files) {
    const { files_per_message: most, file_bytes: largest } = this.app.store.limits;
    for (const file of files) {
      if (this.#files.length >= most) return this.app.note(`A message may have ${most} files at most.`);
      if (file.size > largest) this.app.note(`${file.name} is larger than ${size(largest)}.`);
      else await this.#send(file);
    }
  }

  async #send(file) {
    const entry = { id: null, name: file.name || "pasted.png", file, url: file.type.startsWith("image/") ? URL.createObjectURL(file) : null };
    this.#files.push(entry);
    this.#draw();
    try {
      entry.id = (await upload(entry.name, file)).id;
    } catch (error) {
      this.remove(entry);
      this.app.note(error.message);
    }
    this.#draw();
  }

  remove(entry) {
    this.#keep((each) => each !== entry);
  }

  /** Forget the files, after they were sent or given up. */
  clear() {
    this.#keep(() => false);
  }

  #keep(wanted) {
    const gone = this.#files.filter((each) => !wanted(each));
    this.#files = this.#files.filter(wanted);
    this.#draw();
    for (const { url } of gone) if (url) URL.revokeObjectURL(url);
  }

  #draw() {
    this.node.hidden = !this.#files.length;
    this.node.replaceChildren(...this.#files.map((entry) => el(
      "li", { "aria-busy": String(!entry.id) },
      entry.url ? el("img", { src: entry.url, alt: "" }) : icon("file"),
      el("span.file-name", {}, entry.name, el("span.hint", {}, entry.id ? size(entry.file.size) : "Uploading…")),
      iconButton("close", `Remove ${entry.name}`, () => this.remove(entry)),
    )));
    this.app.composer?.refresh();
  }
}

/** Hand one file to the demo; returns its upload's id, name and size. */
export async function upload(name, file) {
  const response = await fetch(`/attachments?name=${encodeURIComponent(name)}`, {
    method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file,
  }).catch(() => null);
  if (!response) throw new Error("The page has lost the demo. Try again in a moment.");
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message ?? `${name} couldn't be uploaded.`);
  return answer;
}
