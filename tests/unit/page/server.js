// As much of the server as the page's modules need that keep something there: a client and its answers.

export class Refusal extends Error {
  constructor(status) {
    super(`refused: ${status}`);
    this.status = status;
  }
}

/** Answers each request with what `handle(method, path, body)` gives; throws what that throws. */
export class ScriptedClient {
  constructor(handle) {
    Object.assign(this, { handle, requests: [] });
  }

  async untilAnswered(method, path, { body } = {}) {
    this.requests.push(`${method} ${path}`);
    return structuredClone(await this.handle(method, path, body));
  }
}
