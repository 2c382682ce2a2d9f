// Differential fuzzing: random programs on the live kernel and on every engine, for as long as you like. As root.
//
//     node scripts/differential.mjs [--minutes 1] [--seed 1] [--path PATH]
//     node scripts/differential.mjs --verifier [--count 10000] [--minutes M] [--seed 1] [--findings 20] [--json FILE]
//
//     node scripts/differential.mjs --soundness [--count 2000] [--seed 1]
//
// The second compares verifiers: verdicts, errnos and logs, of programs that are to be rejected, too. The third needs no
// kernel: what programs have in their registers as they run must be in what our verifier claimed.
//
// The generator and the comparison are the tests' own (test/generate, test/differential), bundled with the sources as they
// are now. Prints what was tried; a difference is shrunk to a small program, printed with what repeats it, and makes
// the exit status 1.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const entry = process.argv.includes('--verifier')
  ? 'differential/verifiers-main'
  : process.argv.includes('--soundness')
    ? 'verifier/soundness-main'
    : 'differential/main';
// Below node_modules, so that packages are found from there. A name of its own: two runs may begin at different sources.
const outfile = path.join(root, `node_modules/.cache/skep/differential-${process.pid}.mjs`);

await build({
  entryPoints: [path.join(root, `test/${entry}.ts`)],
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  outfile,
});
const { main } = await import(pathToFileURL(outfile).href);
rmSync(outfile);
process.exitCode = await main(process.argv.slice(2));
