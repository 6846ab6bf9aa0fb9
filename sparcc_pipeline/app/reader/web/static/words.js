// Texts of the page, in the language chosen by the server. The keys are the English templates.

const catalogue = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

/** Return a template with its fields, in the language of the page. */
export function say(template, fields = {}) {
  const text = catalogue[template] ?? template;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(fields[name]));
}

/** Return a length in mm with one decimal. */
export const inMm = (value) => `${value.toFixed(1)} mm`;
