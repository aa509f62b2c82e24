// Requests to the server, and the outbox: actions that wait until the server has written them.

const TIMEOUT = 20_000; // ms
const PAUSE = 1_000; // ms between two tries

/** The server does not respond. */
export class Unreachable extends Error {}

/** The server answers with a refusal: `status`, a sentence, and images as they are now. */
export class Refused extends Error {
  constructor(status, answer) {
    super(answer.error ?? `the server answers with ${status}`);
    this.status = status;
    this.items = answer.items ?? [];
  }
}

/** The answer to a GET request. */
export function get(path) {
  return request(path, {});
}

/** The answer to a POST request. */
export function post(path, body) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

async function request(path, options) {
  let response;
  let answer;
  try {
    response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    answer = await response.json().catch((error) => {
      if (response.ok) throw error;
      return {};
    });
  } catch {
    throw new Unreachable("the server does not respond");
  }
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

/** Sends actions one after another, each until it is answered; those that wait survive a reload of the page. */
export class Outbox {
  /**
   * `changed` is called whenever the number of waiting actions, or why they wait, has changed; `restored(path, body)`
   * returns {done, refused} for an action that waited when the page was loaded anew.
   */
  constructor(changed, restored) {
    this.changed = changed;
    this.restored = restored;
    this.problem = ""; // why the first one waits
    this.key = `eyebright-review ${location.pathname}`;
    this.queue = this.#restore();
    this.isSending = false;
    if (this.queue.length) this.#send();
  }

  get waiting() {
    return this.queue.length;
  }

  /** Whether nothing waits, or ceases to within some milliseconds. */
  async emptied(patience) {
    const end = performance.now() + patience;
    while (this.waiting && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
    return !this.waiting;
  }

  /** Sends an action, which has an identifier; `done` gets the answer, `refused` the refusal. */
  push(path, body, { done = () => {}, refused = () => {} } = {}) {
    this.queue.push({ path, body, done, refused });
    this.#keep();
    this.changed();
    this.#send();
  }

  async #send() {
    if (this.isSending) return;
    this.isSending = true;
    while (this.queue.length) {
      const first = this.queue[0];
      try {
        const answer = await post(first.path, first.body);
        this.#finish(() => first.done(answer));
      } catch (error) {
        if (error instanceof Refused && error.status < 500 && error.status !== 404) this.#finish(() => first.refused(error));
        else await this.#wait(error);
      }
    }
    this.isSending = false;
  }

  #finish(report) {
    this.queue.shift();
    this.problem = "";
    this.#keep();
    try {
      report();
    } finally {
      this.changed();
    }
  }

  async #wait(error) {
    this.problem = error instanceof Refused && error.status === 404 ? "The address of this page has changed: open the one that the server printed." : error.message;
    this.changed();
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }

  #keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.queue.map(({ path, body }) => ({ path, body }))));
    } catch {
      // without storage they wait in this page alone
    }
  }

  #restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "[]");
      return kept.map(({ path, body }) => ({ path, body, done: () => {}, refused: () => {}, ...this.restored(path, body) }));
    } catch {
      return [];
    }
  }
}
