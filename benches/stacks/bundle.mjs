// Bundles lodash again and again, by rollup (see run.sh).
import { rollup } from 'rollup';

const entry = { name: 'entry', resolveId: id => (id === 'entry' ? id : null), load: id => (id === 'entry' ? 'export * from "lodash-es"' : null) };
const libraries = {
  name: 'libraries',
  resolveId: (id, from) => {
    if (id === 'lodash-es') return new URL('./node_modules/lodash-es/lodash.js', import.meta.url).pathname;
    return from && id.startsWith('.') ? new URL(id, `file://${from}`).pathname : null;
  },
};
for (;;) {
  const bundle = await rollup({ input: 'entry', plugins: [entry, libraries] });
  await bundle.generate({ format: 'es' });
  await bundle.close();
}
