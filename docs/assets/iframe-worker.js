/* Makes the search work on pages that are opened from a folder.
 *
 * Browsers start no worker from a file. On such pages only, `Worker` becomes a hidden frame with the same messages: the
 * worker's script runs in it, with `importScripts` and `postMessage` as a worker has them. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const inner = this.frame.contentWindow;
      this.pending = [];
      inner.document.open();
      inner.document.write("<!doctype html><title>search</title>");
      inner.document.close();
      inner.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        if (this.onmessage) this.onmessage(event);
      };
      inner.importScripts = (...sources) =>
        sources.reduce((before, source) => before.then(() => load(inner, new URL(source, url))), Promise.resolve());
      load(inner, url).then(() => {
        this.ready = true;
        for (const data of this.pending) this.deliver(data);
      });
    }

    postMessage(data) {
      if (this.ready) this.deliver(data);
      else this.pending.push(data);
    }

    deliver(data) {
      const inner = this.frame.contentWindow;
      inner.dispatchEvent(new inner.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}

/** A promise that is kept when the script has run in the window. */
function load(inner, url) {
  return new Promise((done, failed) => {
    const script = inner.document.createElement("script");
    script.src = url;
    script.onload = done;
    script.onerror = failed;
    inner.document.body.appendChild(script);
  });
}
