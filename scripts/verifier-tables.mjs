// Makes test/tables/goldens/: what the live kernel says of each helper in each program type (BPF_PROG_LOAD of one call;
// nothing runs). Needs Linux, root and koffi.
//
//     node scripts/verifier-tables.mjs

import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
if (process.platform !== 'linux' || process.getuid() !== 0) {
  console.error('The live kernel needs Linux and root.');
  process.exit(1);
}
// Inside the repository, where koffi is found.
const folder = mkdtempSync(path.join(root, 'build/'));
try {
  const outfile = path.join(folder, 'record.mjs');
  await build({
    entryPoints: [path.join(root, 'test/tables/record.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    logLevel: 'error',
  });
  const { record } = await import(pathToFileURL(outfile).href);
  record(path.join(root, 'test/tables/goldens'));
} finally {
  rmSync(folder, { recursive: true });
}
