// The address: which task, which document, which filters. Everything that is seen can be linked to.

/** The parts of the address behind `#`, as plain texts. */
function route() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")));
}

function addressOf(parts) {
  const given = Object.entries(parts).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return `#${given.map(([name, value]) => `${name}=${encodeURIComponent(wellFormed(String(value)))}`).join("&")}`;
}

// A lone surrogate cannot be part of an address.
const wellFormed = (text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");

/** Change the address without a step in the browser's history: a filter is no place. */
function replaceRoute(parts) {
  history.replaceState(null, "", addressOf(parts));
}
