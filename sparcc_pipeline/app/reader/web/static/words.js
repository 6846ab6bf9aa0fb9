// The words of the page, in the language the server chose. English templates are the keys, as everywhere in the program.

const catalogue = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

/** A template with its fields, in the language of the page. */
export function say(template, fields = {}) {
  const said = catalogue[template] ?? template;
  return said.replace(/\{(\w+)\}/g, (_, name) => String(fields[name]));
}

/** A length in mm as people write it: one decimal. */
export const inMm = (value) => `${value.toFixed(1)} mm`;
