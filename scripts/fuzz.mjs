// Fuzzes the readers of the built package (dist/) with damaged real files.
//
//     npm run fuzz -- [--seconds 60] [--seed 1] [elf] [btf] [pcap]
//
// Each input has a seed of its own, counted up from --seed. A reader must give a value or throw a SkepError within two
// seconds; anything else is printed with its seed, and the input is saved to fuzz-READER-SEED.bin. Exit status 1 then.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { transformWithEsbuild } from 'vite';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const fromDist = (name) => import(path.join(root, 'dist', name));
const SLOW = 2000;

const { SkepError } = await fromDist('base/error.js');
const { Btf, parseBtfExt } = await fromDist('btf/index.js');
const { ElfFile, parseObject } = await fromDist('elf/index.js');
const { readPackets } = await fromDist('pcap/index.js');

// The mutator is the tests' own, in TypeScript.
const source = path.join(root, 'test/fuzz/mutate.ts');
const { code } = await transformWithEsbuild(readFileSync(source, 'utf8'), source, { sourcemap: false });
const { mutate, seededRandom } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const read = (folder, suffix) => {
  const full = path.join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full)
    .filter((name) => suffix.test(name))
    .map((name) => new Uint8Array(readFileSync(path.join(full, name))));
};
const objects = () => [...read('test/elf/objects', /\.bpf\.o$/), ...read('examples', /\.bpf\.o$/)];
const sections = (name) =>
  objects().flatMap((bytes) => {
    const elf = ElfFile.parse(bytes);
    const section = elf.sectionByName(name);
    return section === undefined ? [] : [elf.contents(section).slice()];
  });

/** Decodes every type, so that what parsing left for later is looked at too. */
const readBtf = (bytes) => {
  const btf = Btf.parse(bytes);
  for (let id = 0; id < btf.typeCount; id++) {
    btf.type(id);
    try {
      btf.sizeOf(id);
      btf.skipModifiers(id);
    } catch (error) {
      if (!(error instanceof SkepError)) throw error;
    }
  }
  return btf;
};

const readers = {
  elf: { inputs: objects, run: (bytes) => parseObject(bytes) },
  btf: {
    inputs: () => [...sections('.BTF'), ...sections('.BTF.ext')],
    run: (() => {
      let known;
      return (bytes) => {
        known ??= Btf.parse(sections('.BTF')[0]);
        // The two kinds of section have the same magic; whatever is no .BTF may be a .BTF.ext.
        if (bytes.length > 8 && bytes[4] === 24) return readBtf(bytes);
        return parseBtfExt(bytes, known);
      };
    })(),
  },
  pcap: {
    inputs: () =>
      [
        ...read('test/pcap', /\.pcap(ng)?$/),
        ...read('src/pcap/testdata', /\.pcap(ng)?$/),
        ...read('examples', /\.pcap(ng)?$/),
      ].filter((bytes) => bytes.length < 1 << 20),
    run: async (bytes) => {
      let count = 0;
      for await (const _packet of readPackets([bytes])) count++;
      return count;
    },
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const names = positionals.length > 0 ? positionals : Object.keys(readers);
const unknown = names.find((name) => !(name in readers));
const seconds = Number(values.seconds);
const firstSeed = Number(values.seed);
if (unknown !== undefined || !(seconds > 0) || !Number.isInteger(firstSeed)) {
  console.error(`Usage: npm run fuzz -- [--seconds 60] [--seed 1] [${Object.keys(readers).join('] [')}]`);
  process.exit(2);
}

let failures = 0;
for (const name of names) {
  const { inputs, run } = readers[name];
  const files = inputs();
  if (files.length === 0) {
    console.error(`${name}: there are no files to start from`);
    failures++;
    continue;
  }
  const end = performance.now() + (seconds / names.length) * 1000;
  const counts = { accepted: 0, refused: 0, failed: 0 };
  let slowest = 0;
  let seed = firstSeed;
  for (; performance.now() < end; seed++) {
    const bytes = mutate(files, seededRandom(seed));
    const before = performance.now();
    let failure;
    try {
      await run(bytes);
      counts.accepted++;
    } catch (error) {
      if (error instanceof SkepError) counts.refused++;
      else failure = error;
    }
    const took = performance.now() - before;
    slowest = Math.max(slowest, took);
    if (failure === undefined && took > SLOW) failure = new Error(`took ${Math.round(took)} ms`);
    if (failure === undefined) continue;
    counts.failed++;
    const file = `fuzz-${name}-${seed}.bin`;
    writeFileSync(file, bytes);
    console.error(`${name}: seed ${seed}, saved to ${file}:`, failure);
    if (counts.failed >= 10) break;
  }
  failures += counts.failed;
  console.log(
    `${name}: ${seed - firstSeed} inputs from ${files.length} files (seeds ${firstSeed} to ${seed - 1}): ` +
      `${counts.accepted} accepted, ${counts.refused} refused, ${counts.failed} unexpected; slowest ${slowest.toFixed(0)} ms`,
  );
}
process.exitCode = failures > 0 ? 1 : 0;
