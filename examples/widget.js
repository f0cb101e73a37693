// A chat for your own site:
//
//   <script type="module" src="widget.js"></script>
//   <palaver-chat server="https://chat.example" context="You help visitors of a bakery."></palaver-chat>
//
// The server needs your site in PALAVER_ALLOWED_ORIGINS, and no API keys: a key in a page is everybody's.
// Everything is in a shadow root, so your styles and the widget's do not meet. Replies are shown as text.

const STYLE = `
  :host { position: fixed; right: 1rem; bottom: 1rem; width: min(22rem, calc(100vw - 2rem)); font: 1rem/1.4 system-ui; }
  details { border: 1px solid #888; border-radius: .5rem; background: #fff; color: #222; }
  summary { padding: .6rem .8rem; cursor: pointer; }
  [role=log] { height: 16rem; overflow: auto; padding: 0 .8rem; }
  p { white-space: pre-wrap; margin: .4rem 0; overflow-wrap: anywhere; }
  .prompt { text-align: right; color: #0a58a0; }
  input { width: 100%; box-sizing: border-box; font: inherit; padding: .6rem .8rem; border: 0; border-top: 1px solid #888; }
`;
const ENDS = ["completed", "failed", "cancelled"];

class PalaverChat extends HTMLElement {
  connectedCallback() {
    const root = this.attachShadow({ mode: "open" });
    root.innerHTML = `<style>${STYLE}</style><details><summary>Chat</summary><div role="log" tabindex="0"></div>
      <form><input aria-label="Your message" required autocomplete="off"></form></details>`;
    this.log = root.querySelector("[role=log]");
    const form = root.querySelector("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const prompt = root.querySelector("input").value;
      form.reset();
      this.ask(prompt).catch(() => this.show("reply", "The chat cannot be reached. Please try again."));
    });
    // A reload in the middle of a reply goes on with it.
    if (this.kept.job) this.follow(this.kept.job);
  }

  /** What this tab remembers: its conversation, and the job of a reply under way. */
  get kept() {
    return JSON.parse(sessionStorage.getItem("palaver-chat") ?? "{}");
  }

  set kept(value) {
    sessionStorage.setItem("palaver-chat", JSON.stringify(value));
  }

  async ask(prompt) {
    this.show("prompt", prompt);
    const { id } = this.kept;
    const begin = this.hasAttribute("context") ? { context: this.getAttribute("context") } : {};
    const body = JSON.stringify({ prompt, ...(id ? { id } : begin) });
    const answer = await fetch(`${this.getAttribute("server")}/jobs`, { method: "POST", body });
    const accepted = await answer.json();
    if (!answer.ok) return this.show("reply", accepted.detail);
    this.kept = { id: accepted.id, job: accepted.job };
    return this.follow(accepted.job);
  }

  follow(job) {
    const reply = this.show("reply", "…");
    let text = "";
    const events = new EventSource(`${this.getAttribute("server")}/jobs/${job}/events`);
    events.addEventListener("token", ({ data }) => {
      text += JSON.parse(data).text;
      reply.textContent = text;
      this.log.scrollTop = this.log.scrollHeight;
    });
    for (const end of ENDS) {
      events.addEventListener(end, () => {
        events.close();
        this.kept = { id: this.kept.id };
        if (end !== "completed") reply.textContent = `${text} (${end})`;
      });
    }
  }

  show(kind, text) {
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    return this.log.appendChild(line);
  }
}

customElements.define("palaver-chat", PalaverChat);
