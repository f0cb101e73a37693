// JSON schemas as lists of fields.

import { element } from "./dom.js";
import { prose } from "./prose.js";

const LIMITS = [
  ["minimum", (value) => `≥ ${value}`],
  ["exclusiveMinimum", (value) => `> ${value}`],
  ["maximum", (value) => `≤ ${value}`],
  ["minLength", (value) => `at least ${value} characters`],
  ["maxLength", (value) => `at most ${value} characters`],
  ["minItems", (value) => `at least ${value}`],
  ["maxItems", (value) => `at most ${value}`],
  ["pattern", (value) => `matches ${value}`],
];

export class SchemaView {
  /** @param {(node: object) => object} resolve follows a reference */
  constructor(resolve) {
    this.resolve = resolve;
  }

  /** All of a schema: what it means, and its fields. */
  whole(schema) {
    const resolved = this.resolve(schema);
    return [...prose(resolved.description ?? ""), ...this.fields(resolved)];
  }

  fields({ properties = {}, required = [] }) {
    const rows = Object.entries(properties).map(([name, schema]) => this.field(
      name, schema, { isRequired: required.includes(name), description: schema.description },
    ));
    return rows.length > 0 ? [element("dl", { className: "fields" }, ...rows)] : [];
  }

  /** One field, parameter or header as a row of a list. */
  field(name, schema, { isRequired = false, description = "", place = "" }) {
    const needed = isRequired ? [element("span", { className: "needed", textContent: " required" })] : [];
    const type = [place, this.type(schema), ...this.limits(schema)].filter(Boolean).join(", ");
    return element(
      "div", {},
      element("dt", {}, element("code", { textContent: name }), " ", element("span", { className: "type", textContent: type }), ...needed),
      element("dd", {}, ...prose(description), ...this.nested(schema).map((one) => this.below(one))),
    );
  }

  /** A schema in words. */
  type(schema) {
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
    if ("const" in schema) return JSON.stringify(schema.const);
    const options = schema.anyOf ?? schema.oneOf;
    if (options) return options.map((option) => this.type(option)).join(" or ");
    if (schema.$ref) return "object";
    if (schema.type === "array") return schema.items ? `list of ${this.type(schema.items)}` : "list";
    return schema.type ?? "anything";
  }

  limits(schema) {
    const options = (schema.anyOf ?? []).filter((option) => option.type !== "null");
    const limited = options.length === 1 ? options[0] : schema;
    const limits = LIMITS.filter(([name]) => name in limited).map(([name, say]) => say(limited[name]));
    const hasDefault = schema.default !== undefined && schema.default !== null;
    return hasDefault ? [...limits, `default ${JSON.stringify(schema.default)}`] : limits;
  }

  /** The objects that a field can hold. */
  nested(schema) {
    if (schema.$ref) return [schema];
    const options = schema.anyOf ?? schema.oneOf ?? (schema.items ? [schema.items] : []);
    return options.flatMap((option) => this.nested(option));
  }

  /** An object in a field; drawn when it is opened. */
  below(schema) {
    const made = element("details", {}, element("summary", { textContent: schema.$ref.split("/").at(-1) }));
    made.addEventListener("toggle", () => {
      if (made.open && made.children.length === 1) made.append(...this.whole(schema));
    });
    return made;
  }
}
