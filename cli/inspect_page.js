// The graph of `tfs inspect --html`: one level at a time. A level is what lies directly below a name prefix in the graph
// or in a function; deeper names are groups, and what a level is linked with elsewhere stands at its edge.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("graph-data").textContent);
  const root = document.getElementById("graph");
  const find = (name) => root.querySelector(name);
  const svg = find("svg"), aside = find("aside"), trail = find(".trail"), search = find("input[type=search]");
  const weights = find("#weights"), chooser = find("select");
  const HEIGHT = 38, GAP_X = 18, GAP_Y = 34, WIDEST_ROW = 1150, LONGEST_LABEL = 30, MOST_FOUND = 40, MOST_LISTED = 40;
  // They feed almost everything, and would hide what is computed.
  const WEIGHTS = new Set(["Const", "VarHandleOp", "ReadVariableOp", "VariableV2", "Variable", "ResourceArg"]);
  const NS = "http://www.w3.org/2000/svg";

  // Data: a node is [name, number of its op, inputs, control inputs, scopes of the functions that it calls].
  const nameOf = (node) => node[0], opOf = (node) => data.ops[node[1]];
  const denied = new Set(data.denied.map(([scope, node]) => `${scope}\n${node}`));
  const titleOf = (scope) => data.scopes[scope].name || "graph";
  const element = (name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const button = (text, action) => {
    const made = document.createElement("button");
    made.textContent = text;
    made.type = "button";
    made.addEventListener("click", action);
    return made;
  };
  const short = (text) => (text.length > LONGEST_LABEL ? text.slice(0, 13) + "…" + text.slice(2 - LONGEST_LABEL / 2) : text);
  const hueOf = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);

  // What a level shows: items by key, which item each node of the scope belongs to, and links between items.
  function levelOf(scope, prefix, withWeights) {
    const nodes = data.scopes[scope].nodes;
    const below = new Map();
    for (const node of nodes) {
      if (!nameOf(node).startsWith(prefix)) continue;
      const rest = nameOf(node).slice(prefix.length), slash = rest.indexOf("/");
      if (slash > 0) below.set(rest.slice(0, slash), (below.get(rest.slice(0, slash)) || 0) + 1);
    }
    const items = new Map();
    const itemOf = nodes.map((node, number) => {
      if (!withWeights && WEIGHTS.has(opOf(node))) return null;
      const [kind, label] = placeOf(nameOf(node), prefix, below);
      const key = kind === "node" ? `node ${number}` : `${kind} ${label}`;
      if (!items.has(key)) items.set(key, { key, kind, label, members: [], calls: new Set(), above: new Map(), under: new Map() });
      const item = items.get(key);
      item.members.push(number);
      for (const callee of node[4]) item.calls.add(callee);
      return item;
    });
    nodes.forEach((node, number) => {
      const to = itemOf[number];
      if (to === null) return;
      for (const [sources, control] of [[node[2], false], [node[3], true]]) {
        for (const source of sources) {
          const from = itemOf[source];
          if (from === null || from === to || (from.kind === "outside" && to.kind === "outside")) continue;
          const link = to.above.get(from) || { count: 0, control: true };
          link.count += 1;
          link.control = link.control && control;
          to.above.set(from, link);
          from.under.set(to, link);
        }
      }
    });
    for (const [key, item] of items) if (item.kind === "outside" && !item.above.size && !item.under.size) items.delete(key);
    return [...items.values()];
  }

  function placeOf(name, prefix, below) {
    if (name.startsWith(prefix)) {
      const rest = name.slice(prefix.length), slash = rest.indexOf("/");
      // A single node below a name is not worth a group.
      return slash > 0 && below.get(rest.slice(0, slash)) > 1 ? ["group", rest.slice(0, slash)] : ["node", rest];
    }
    const own = prefix.split("/"), other = name.split("/");
    let same = 0;
    while (same < other.length - 1 && own[same] === other[same]) same += 1;
    return ["outside", other.slice(0, same + 1).join("/")];
  }

  // Layers: an item stands below all that feed it; loops are cut where a walk meets itself.
  function layersOf(items) {
    const state = new Map(), order = [];
    for (const start of items) {
      if (state.has(start)) continue;
      const walk = [[start, start.above.keys()]];
      state.set(start, 1);
      while (walk.length) {
        const [item, sources] = walk[walk.length - 1];
        const { value: source, done } = sources.next();
        if (done) {
          state.set(item, 2);
          order.push(item);
          walk.pop();
        } else if (!state.has(source)) {
          state.set(source, 1);
          walk.push([source, source.above.keys()]);
        }
      }
    }
    const position = new Map(order.map((item, number) => [item, number]));
    for (const item of order) {
      item.rank = 0;
      for (const source of item.above.keys()) {
        if (position.get(source) < position.get(item)) item.rank = Math.max(item.rank, source.rank + 1);
      }
    }
    for (const item of order.reverse()) {
      const fed = [...item.under.keys()].filter((other) => position.get(other) > position.get(item));
      if (!item.above.size && fed.length) item.rank = Math.min(...fed.map((other) => other.rank)) - 1;
    }
    const layers = new Map();
    for (const item of items) layers.set(item.rank, [...(layers.get(item.rank) || []), item]);
    return [...layers.keys()].sort((a, b) => a - b).map((rank) => layers.get(rank));
  }

  const textOf = (item) => short(item.kind === "outside" ? item.label.slice(item.label.lastIndexOf("/") + 1) : item.label);
  const middle = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  function arrange(items) {
    for (const item of items) item.width = Math.max(70, 7 * Math.max(textOf(item).length, 4 + subtitle(item).length * 0.86) + 24);
    const layers = layersOf(items);
    layers.forEach((layer) => layer.forEach((item, number) => (item.order = number / layer.length)));
    for (let sweep = 0; sweep < 4; sweep++) {
      const down = sweep % 2 === 0;
      for (const layer of down ? layers : [...layers].reverse()) {
        for (const item of layer) {
          const near = [...(down ? item.above : item.under).keys()].map((other) => other.order);
          item.wish = near.length ? middle(near) : item.order;
        }
        layer.sort((a, b) => a.wish - b.wish).forEach((item, number) => (item.order = (number + 0.5) / layer.length));
      }
    }
    let y = 0;
    for (const layer of layers) {
      let row = [], width = 0;
      const rows = [row];
      for (const item of layer) {
        if (row.length && width + item.width > WIDEST_ROW) rows.push((row = [])), (width = 0);
        row.push(item);
        width += item.width + GAP_X;
      }
      for (const one of rows) {
        place(one, y);
        y += HEIGHT + (rows.length > 1 ? 12 : GAP_Y);
      }
      if (rows.length > 1) y += GAP_Y - 12;
    }
  }

  // A row keeps its order; each item comes as near below those that feed it as its neighbours allow.
  function place(row, y) {
    const wishes = row.map((item) => {
      const near = [...item.above.keys()].filter((other) => other.y !== undefined && other.y < y).map((other) => other.x);
      return near.length ? middle(near) : null;
    });
    let right = -Infinity;
    const total = row.reduce((sum, item) => sum + item.width + GAP_X, -GAP_X);
    const known = wishes.filter((wish) => wish !== null);
    let start = (known.length ? middle(known) : 0) - total / 2;
    row.forEach((item, number) => {
      const wish = wishes[number] === null ? start + item.width / 2 : wishes[number];
      item.x = Math.max(wish, right + item.width / 2);
      item.y = y;
      right = item.x + item.width / 2 + GAP_X;
      start = right;
    });
    if (known.length) {
      const shift = middle(row.map((item, number) => item.x - (wishes[number] === null ? item.x : wishes[number])));
      for (const item of row) item.x -= shift;
    }
  }

  function subtitle(item) {
    if (item.kind === "node") return opOf(data.scopes[view.scope].nodes[item.members[0]]);
    const count = item.members.length;
    return item.kind === "outside" ? "elsewhere" : `${count.toLocaleString("en")} node${count > 1 ? "s" : ""}`;
  }

  const view = { scope: 0, prefix: "", items: [], box: null, chosen: null, wanted: null };

  function draw() {
    view.items = levelOf(view.scope, view.prefix, weights.checked);
    arrange(view.items);
    const edges = element("g"), boxes = element("g");
    for (const item of view.items) {
      for (const [source, link] of item.above) edges.append(edgeOf(source, item, link));
      boxes.append(boxOf(item));
    }
    svg.replaceChildren(edges, boxes);
    svg.dataset.items = view.items.length;
    trail.replaceChildren(...trailOf());
    chooser.value = view.scope;
    fit();
    choose(view.items.find((item) => item.kind === "node" && view.prefix + item.label === view.wanted) || null);
  }

  function edgeOf(source, item, link) {
    const y1 = source.y + HEIGHT, y2 = item.y, bend = Math.max(14, Math.abs(y2 - y1) / 2);
    const path = element("path", {
      class: link.control ? "edge control" : "edge",
      d: `M${source.x} ${y1}C${source.x} ${y1 + bend} ${item.x} ${y2 - bend} ${item.x} ${y2}`,
    });
    (item.edges ||= []).push(path);
    (source.edges ||= []).push(path);
    return path;
  }

  function boxOf(item) {
    const node = item.kind === "node" ? data.scopes[view.scope].nodes[item.members[0]] : null;
    const kinds = ["item", node && item.calls.size ? "call" : item.kind];
    const scope = data.scopes[view.scope].name;
    if (item.members.some((number) => denied.has(`${scope}\n${nameOf(data.scopes[view.scope].nodes[number])}`))) kinds.push("denied");
    const box = element("g", {
      class: kinds.join(" "), transform: `translate(${item.x - item.width / 2} ${item.y})`,
      tabindex: 0, role: "button", "aria-label": `${item.label}, ${subtitle(item)}`,
    });
    box.style.setProperty("--hue", hueOf(subtitle(item)));
    const shape = { width: item.width, height: HEIGHT, rx: item.kind === "node" ? 5 : 9 };
    if (opens(item)) box.append(element("rect", { ...shape, class: "back", x: 3, y: 3 }));
    box.append(element("rect", { ...shape, class: "front" }));
    if (node) box.append(element("rect", { class: "mark", x: 0, y: 7, width: 3.5, height: HEIGHT - 14, rx: 1.5 }));
    box.append(element("text", { x: 12, y: 16 }, textOf(item)), element("text", { x: 12, y: 30, class: "op" }, subtitle(item)));
    box.append(element("title", {}, item.label));
    item.box = box;
    box.addEventListener("pointerenter", () => view.chosen || describe(item));
    box.addEventListener("click", () => (view.moved ? null : act(item)));
    box.addEventListener("keydown", (event) => (event.key === "Enter" ? act(item) : null));
    return box;
  }

  const opens = (item) => item.kind !== "node" || item.calls.size > 0;

  function act(item) {
    if (item.kind === "group") go(view.scope, deepest(`${view.prefix}${item.label}/`));
    else if (item.kind === "outside") {
      const deeper = data.scopes[view.scope].nodes.some((node) => nameOf(node).startsWith(item.label + "/"));
      go(view.scope, deeper ? item.label + "/" : item.label.slice(0, item.label.lastIndexOf("/") + 1));
    } else if (item.calls.size === 1) go([...item.calls][0], "");
    else choose(item);
  }

  // Levels with nothing but one group are passed over.
  function deepest(prefix) {
    const inside = levelOf(view.scope, prefix, true).filter((item) => item.kind !== "outside");
    return inside.length === 1 && inside[0].kind === "group" ? deepest(`${prefix}${inside[0].label}/`) : prefix;
  }

  function choose(item) {
    view.chosen?.box?.classList.remove("chosen");
    for (const edge of view.chosen?.edges || []) edge.classList.remove("chosen");
    view.chosen = item;
    item?.box.classList.add("chosen");
    for (const edge of item?.edges || []) edge.classList.add("chosen");
    describe(item);
  }

  function describe(item) {
    const about = document.createElement("div");
    const line = (text, name = "p") => about.appendChild(Object.assign(document.createElement(name), { textContent: text }));
    const list = (title, entries) => {
      if (!entries.length) return;
      line(`${title}${entries.length > MOST_LISTED ? ` (${entries.length})` : ""}`).className = "soft";
      const made = about.appendChild(document.createElement("ul"));
      for (const entry of entries.slice(0, MOST_LISTED)) made.appendChild(document.createElement("li")).append(entry);
    };
    if (item === null) {
      const nodes = data.scopes[view.scope].nodes.filter((node) => nameOf(node).startsWith(view.prefix));
      line(view.prefix || titleOf(view.scope), "h3");
      line(`${nodes.length.toLocaleString("en")} nodes. Click a stacked box to open it: blue ones hold the nodes below a name, green ones call a function. Drag to move, Ctrl and wheel to zoom.`);
      const counts = new Map();
      for (const node of nodes) counts.set(opOf(node), (counts.get(opOf(node)) || 0) + 1);
      list("ops here", [...counts].sort((a, b) => b[1] - a[1]).map(([op, count]) => `${count} ${op}`));
    } else {
      line(item.kind === "outside" ? item.label : view.prefix + item.label, "h3");
      line(subtitle(item));
      const others = (links) => [...links.keys()].map((other) => button(other.label, () => choose(other)));
      list("calls", [...item.calls].map((callee) => button(titleOf(callee), () => go(callee, ""))));
      list("fed by", others(item.above));
      list("feeds", others(item.under));
    }
    aside.replaceChildren(about);
  }

  function trailOf() {
    const parts = [button(titleOf(view.scope), () => go(view.scope, ""))];
    if (view.scope) parts.unshift(button("graph", () => go(0, "")), " › ");
    const names = view.prefix.split("/").slice(0, -1);
    names.forEach((name, number) => parts.push(" / ", button(name, () => go(view.scope, names.slice(0, number + 1).join("/") + "/"))));
    return parts;
  }

  // Where one is stands in the address, so that back and links work.
  const go = (scope, prefix, wanted = null) => {
    view.wanted = wanted;
    location.hash = `graph=${scope}:${encodeURIComponent(prefix)}`;
  };
  function follow() {
    const [, scope, prefix] = /^#graph=(\d+):(.*)$/.exec(location.hash) || [null, "0", ""];
    view.scope = Math.min(Number(scope), data.scopes.length - 1);
    view.prefix = decodeURIComponent(prefix);
    draw();
  }

  function fit() {
    const left = Math.min(...view.items.map((item) => item.x - item.width / 2), 0), top = Math.min(...view.items.map((item) => item.y), 0);
    const right = Math.max(...view.items.map((item) => item.x + item.width / 2), 1), bottom = Math.max(...view.items.map((item) => item.y + HEIGHT), 1);
    const { clientWidth: width = 900, clientHeight: height = 600 } = svg;
    const scale = Math.min(1.15, (width - 40) / (right - left), (height - 40) / (bottom - top));
    // What would be too small to read begins at its top, in the middle.
    const shown = Math.max(scale, Math.min(0.85, Math.max(0.45, (width - 40) / (right - left))));
    const w = width / shown, h = height / shown;
    view.box = [(left + right - w) / 2, scale < shown ? top - 20 / shown : (top + bottom - h) / 2, w, h];
    pan(0, 0);
  }

  function pan(dx, dy) {
    view.box[0] -= dx;
    view.box[1] -= dy;
    svg.setAttribute("viewBox", view.box.join(" "));
  }

  function zoom(factor, x = 0.5, y = 0.5) {
    const [left, top, width, height] = view.box;
    view.box = [left + width * x * (1 - factor), top + height * y * (1 - factor), width * factor, height * factor];
    pan(0, 0);
  }

  svg.addEventListener("pointerdown", (event) => {
    view.moved = false;
    let last = [event.clientX, event.clientY];
    const drag = ({ clientX, clientY }) => {
      if (!view.moved && Math.hypot(clientX - last[0], clientY - last[1]) < 4) return;
      view.moved = true;
      svg.classList.add("dragged");
      const unit = view.box[2] / svg.clientWidth;
      pan((clientX - last[0]) * unit, (clientY - last[1]) * unit);
      last = [clientX, clientY];
    };
    const drop = () => {
      svg.classList.remove("dragged");
      removeEventListener("pointermove", drag);
    };
    addEventListener("pointermove", drag);
    addEventListener("pointerup", drop, { once: true });
  });
  svg.addEventListener("click", (event) => (event.target === svg && !view.moved ? choose(null) : null));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left, top, width, height } = svg.getBoundingClientRect();
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, (event.clientX - left) / width, (event.clientY - top) / height);
  }, { passive: false });

  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    if (!wanted) return choose(null);
    const ofOp = [], ofName = [];
    data.scopes.forEach((scope, number) => {
      for (const node of scope.nodes) {
        if (opOf(node).toLowerCase() === wanted) ofOp.push([number, node]);
        else if (nameOf(node).toLowerCase().includes(wanted)) ofName.push([number, node]);
      }
    });
    const found = [...ofOp, ...ofName];
    const about = document.createElement("ul");
    for (const [number, node] of found.slice(0, MOST_FOUND)) {
      const show = () => {
        weights.checked ||= WEIGHTS.has(opOf(node));
        go(number, nameOf(node).slice(0, nameOf(node).lastIndexOf("/") + 1), nameOf(node));
        follow(); // the address may be the same
      };
      const place = number ? ` in ${titleOf(number)}` : "";
      about.appendChild(document.createElement("li")).append(button(`${nameOf(node)} (${opOf(node)})`, show), place);
    }
    if (!found.length) about.append("no node has this name or op");
    if (found.length > MOST_FOUND) about.append(`and ${(found.length - MOST_FOUND).toLocaleString("en")} more`);
    aside.replaceChildren(about);
  });

  data.scopes.forEach((scope, number) => {
    const option = document.createElement("option");
    option.value = number;
    option.textContent = `${titleOf(number)} (${scope.nodes.length.toLocaleString("en")})`;
    chooser.append(option);
  });
  chooser.addEventListener("change", () => go(Number(chooser.value), ""));
  weights.addEventListener("change", draw);
  find("#closer").addEventListener("click", () => zoom(1 / 1.3));
  find("#farther").addEventListener("click", () => zoom(1.3));
  find("#fit").addEventListener("click", fit);
  addEventListener("hashchange", follow);
  follow();
})();
