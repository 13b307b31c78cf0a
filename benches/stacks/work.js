// What a bundler does: reads sources, splits them into tokens, makes a tree of them, prints and compresses that.
const { readFileSync, readdirSync } = require('fs');
const { gzipSync } = require('zlib');
const path = require('path');

function sources(folder, found = []) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) sources(file, found);
    else if (file.endsWith('.js') && found.length < 300) found.push(readFileSync(file, 'utf8'));
  }
  return found;
}

const parse = (tokens, at = { index: 0 }) => {
  const nodes = [];
  while (at.index < tokens.length) {
    const token = tokens[at.index++];
    if (token === '}' || token === ')') break;
    nodes.push(token === '{' || token === '(' ? { token, children: parse(tokens, at) } : { token });
  }
  return nodes;
};
const print = (nodes) => nodes.map((node) => node.token + (node.children ? print(node.children) : '')).join(' ');

const folder = path.join(path.dirname(process.execPath), '../lib/node_modules');
let texts;
try {
  texts = sources(folder);
} catch {
  texts = [readFileSync(__filename, 'utf8').repeat(100)];
}
if (texts.length === 0) texts = [readFileSync(__filename, 'utf8').repeat(100)];
for (;;) {
  for (const text of texts) {
    const tokens = text.match(/[A-Za-z_$][\w$]*|\d+|"[^"]*"|'[^']*'|[^\s]/g) || [];
    gzipSync(print(parse(tokens)));
  }
}
