// Elements. Text goes in as text only: names come from users and from the network.

/** An element with properties and children; a child that is no element becomes text. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "on") for (const [event, call] of Object.entries(value)) made.addEventListener(event, call);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) made.append(child instanceof Node ? child : String(child));
  }
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Write only what changed: that spares the browser a layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Children of `parent`, one for each item, made once for each key and updated from then on. */
export function keyed(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let before = null;
  for (const item of items) {
    const name = String(key(item));
    let node = known.get(name);
    known.delete(name);
    if (node === undefined) {
      node = make(item);
      node.dataset.key = name;
    }
    const place = before === null ? parent.firstChild : before.nextSibling;
    if (node !== place) parent.insertBefore(node, place);
    update(node, item);
    before = node;
  }
  for (const node of known.values()) node.remove();
}
