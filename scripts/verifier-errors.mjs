// Writes docs/verifier-errors.md from the table of messages (src/kernel/verifier/explain/).
//
//     node scripts/verifier-errors.mjs            after a build
//     node scripts/verifier-errors.mjs --check    change nothing; exit status 1 when the page is out of date

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { entries } from '../dist/kernel/verifier/explain/index.js';
import { errorsPage } from '../dist/kernel/verifier/explain/page.js';

const file = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'docs/verifier-errors.md');
const page = errorsPage(entries);
if (!process.argv.includes('--check')) writeFileSync(file, page);
else if (readFileSync(file, 'utf8') !== page) {
  console.error('docs/verifier-errors.md is out of date: node scripts/verifier-errors.mjs');
  process.exit(1);
}
