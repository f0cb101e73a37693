// As much of a browser as the page's modules need that draw nothing. For `node --test`.

const STATIC = new URL("../../../api/web/static/", import.meta.url);
let loads = 0;

export class Storage {
  items = new Map();
  isFull = false;

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, value) {
    if (this.isFull) throw new Error("QuotaExceededError");
    this.items.set(name, value);
  }

  removeItem(name) {
    this.items.delete(name);
  }
}

/** A module as a tab that was just opened loads it; storages are shared by those who pass them on. */
export function load(name, { local = new Storage(), session = new Storage() } = {}) {
  globalThis.localStorage = local;
  globalThis.sessionStorage = session;
  globalThis.addEventListener ??= () => {};
  globalThis.removeEventListener ??= () => {};
  loads += 1;
  return import(new URL(`${name}?load=${loads}`, STATIC));
}
