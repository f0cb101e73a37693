// The documentation page: draws what /openapi.json says.

import { curlCommands } from "./curl.js";
import { byId, copyButton, element } from "./dom.js";
import { SchemaView } from "./schema_view.js";
import { prose } from "./prose.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

let documented;
let schemas;

/** The object that a reference points to, or the object itself. */
function resolve(node) {
  if (!node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((parent, name) => parent[name], documented);
}

function operationsOf(tag) {
  return Object.entries(documented.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method]?.tags.includes(tag))
    .map((method) => ({ path, method, ...item[method] })));
}

function draw() {
  byId("version").textContent = documented.info.version;
  byId("introduction").append(...prose(documented.info.description));
  for (const { name, description } of documented.tags) {
    const operations = operationsOf(name);
    const id = `tag-${name.toLowerCase().replace(/\W+/g, "-")}`;
    byId("reference").append(element(
      "section", {},
      element("h2", { id, textContent: name }),
      ...prose(description),
      ...operations.map(drawOperation),
    ));
    byId("index").append(element(
      "section", {},
      element("h2", {}, element("a", { href: `#${id}`, textContent: name })),
      element("ul", {}, ...operations.map(drawLink)),
    ));
  }
}

function drawLink({ operationId, summary }) {
  return element("li", {}, element("a", { href: `#${operationId}`, textContent: summary }));
}

function drawOperation(operation) {
  const { operationId, method, path, summary } = operation;
  const inside = element("div", { className: "inside" });
  const drawn = element(
    "details", { className: "operation", id: operationId },
    element(
      "summary", {},
      element("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
      " ",
      element(
        "h3", {}, element("code", { className: "path", textContent: path }), ` ${summary}`,
      ),
    ),
    inside,
  );
  drawn.dataset.words = JSON.stringify(operation).toLowerCase();
  // Drawn when it is opened: all of them together are more than a phone lays out at once.
  drawn.addEventListener("toggle", () => {
    if (drawn.open && !inside.hasChildNodes()) inside.append(...drawInside(operation));
  });
  return drawn;
}

function drawInside(operation) {
  return [
    ...prose(operation.description ?? ""),
    ...drawAccess(operation.security),
    element("h4", { textContent: "Try it" }),
    ...curlCommands(operation, location.origin).map(({ title, command }) => drawExample(title, command, "curl")),
    ...drawParameters(operation.parameters ?? []),
    ...drawBody(operation.requestBody),
    ...drawAnswers(operation.responses),
    ...drawErrors(operation.responses),
  ];
}

/** Whether a key is needed; a server without keys says nothing of it. */
function drawAccess(security) {
  if (!security) return [];
  const text = security.length > 0
    ? "Needs an API key: the commands take it from `$PALAVER_API_KEY`."
    : "Open: needs no API key.";
  return prose(text);
}

function drawExample(title, text, className = "") {
  return element(
    "div", { className: "example" },
    element("div", { className: "title" }, element("span", { textContent: title }), copyButton(() => text)),
    element("pre", { tabIndex: 0, className }, element("code", { textContent: text })),
  );
}

function drawParameters(parameters) {
  if (parameters.length === 0) return [];
  return [
    element("h4", { textContent: "Parameters" }),
    element("dl", { className: "fields" }, ...parameters.map((one) => schemas.field(
      one.name, one.schema, { isRequired: one.required, description: one.description, place: one.in },
    ))),
  ];
}

function drawBody(body) {
  if (!body) return [];
  return [
    element("h4", { textContent: "Body" }),
    ...schemas.whole(body.content["application/json"].schema),
  ];
}

function drawAnswers(responses) {
  const answers = Object.entries(responses).filter(([status]) => status < "400");
  return [
    element("h4", { textContent: "Answers" }),
    ...answers.map(([status, answer]) => element(
      "div", { className: "answer" },
      element("p", {}, element("code", { textContent: status }), ` ${answer.description}`),
      ...drawHeaders(answer.headers ?? {}),
      ...Object.entries(answer.content ?? {}).flatMap(([type, content]) => drawContent(type, content)),
    )),
  ];
}

function drawHeaders(headers) {
  const rows = Object.entries(headers).map(([name, { schema, description }]) => schemas.field(name, schema, { description }));
  return rows.length ? [folded("Headers", element("dl", { className: "fields" }, ...rows))] : [];
}

function drawContent(type, { schema, example, "x-events": events }) {
  const text = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  const drawnExample = example === undefined ? [] : [drawExample(type, text)];
  if (events) {
    const each = Object.entries(events).map(([name, payload]) => folded(`event ${name}`, ...schemas.whole(payload)));
    return [...drawnExample, folded("Events", ...each)];
  }
  if (schema.type === "string") return [element("p", { className: "hint", textContent: type })];
  return [...drawnExample, folded("Fields", ...schemas.whole(schema))];
}

function folded(title, ...children) {
  return element("details", {}, element("summary", { textContent: title }), ...children);
}

function drawErrors(responses) {
  const rows = Object.entries(responses)
    .filter(([status]) => status >= "400")
    .flatMap(([status, { content }]) => Object.values(content)
      .flatMap(({ examples = {} }) => Object.values(examples).map(resolve))
      .map(({ summary, value }) => element(
        "div", {},
        element("dt", {}, `${status} `, element("code", { textContent: value.code ?? value.error.code })),
        element("dd", {}, ...prose(summary)),
      )));
  if (rows.length === 0) return [];
  return [element("h4", { textContent: "Errors" }), element("dl", { className: "fields errors" }, ...rows)];
}

/** Open what the address names, and show it. */
function follow() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.tagName === "DETAILS") {
    named.open = true;
    named.querySelector("summary").focus({ preventScroll: true });
  }
  named.scrollIntoView();
}

function filter() {
  const wanted = byId("filter").value.trim().toLowerCase();
  let shown = 0;
  for (const operation of document.querySelectorAll(".operation")) {
    operation.hidden = !operation.dataset.words.includes(wanted);
    shown += operation.hidden ? 0 : 1;
    byId("index").querySelector(`a[href="#${operation.id}"]`).parentElement.hidden = operation.hidden;
  }
  for (const section of document.querySelectorAll("#reference > section:not(#introduction)")) {
    section.hidden = !section.querySelector(".operation:not([hidden])");
  }
  for (const section of document.querySelectorAll("#index > section")) {
    section.hidden = !section.querySelector("li:not([hidden])");
  }
  byId("no-match").textContent = shown ? "" : "No operation matches.";
}

async function load() {
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    documented = await response.json();
  } catch (error) {
    byId("state").textContent = `The documentation cannot be loaded: ${error.message}`;
    return;
  }
  schemas = new SchemaView(resolve);
  draw();
  byId("state").remove();
  byId("filter").addEventListener("input", filter);
  addEventListener("hashchange", follow);
  follow();
}

load();
