// Builds the corpus: sources, headers, objects, recordings. What is there already is left as it is, unless `again`.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { parseObject } from '../../dist/elf/index.js';
import { CLANG, compileSet, sets } from './compile.mjs';
import { fail, sources } from './places.mjs';
import { recordedObjects, writeKernel, writeRecordings } from './recording.mjs';
import { fetchSources, makeHeaders } from './sources.mjs';

/** The BTF of `btf__x.bpf.o`, which a test asks for in place of the kernel's. */
async function otherBtf(file) {
  const [{ object }] = await compileSet('selftests', file.replace(/\.bpf\.o$/, ''));
  return parseObject(readFileSync(object)).btf;
}

/** `only`: one object; `again`: record also what has a recording. */
export async function buildCorpus({ wanted = Object.keys(sets), only, again = false } = {}) {
  if (process.platform !== 'linux' || process.getuid() !== 0)
    fail('Recording the live kernel needs Linux and root.');
  fetchSources();
  makeHeaders();
  const { lacking, possibleCpus } = await import('./linux.mjs');
  const { kernelBtfBytes, recordObject } = await import('./record.mjs');
  for (const set of wanted) {
    const compiled = await compileSet(set, only);
    const refused = compiled.filter(({ failed }) => failed !== undefined);
    console.error(`${set}: ${compiled.length - refused.length} objects, ${refused.length} do not compile`);
    const done = new Set(again ? [] : recordedObjects(set));
    let tests = 0;
    for (const { name, object } of compiled) {
      if (object === undefined || done.has(name)) continue;
      let recorded;
      try {
        recorded = await recordObject(set, name, readFileSync(object), otherBtf);
      } catch (error) {
        recorded = [{ id: `${set}/${name}/`, failed: error.message }];
      }
      writeRecordings(set, name, recorded);
      tests += recorded.length;
    }
    console.error(`${set}: ${tests} tests recorded`);
  }
  writeKernel({
    release: release(),
    cpus: possibleCpus(),
    lacking: lacking(),
    btf: kernelBtfBytes,
    clang: spawnSync(CLANG, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0],
    sources,
    recorded: new Date().toISOString(),
  });
}
