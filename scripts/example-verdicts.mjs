// Makes examples/verdicts.json: what the live kernel does with every packet of examples/traffic.pcapng in the programs
// of examples/ (BPF_PROG_TEST_RUN by bpftool, nothing is attached), and what is in their maps afterwards. Needs Linux,
// root, bpftool, and `npm run build` before. The rate limiter is left out, because its answers depend on the time.
//
//     node scripts/example-verdicts.mjs           record
//     node scripts/example-verdicts.mjs --check   change nothing; exit status 1 when an answer differs

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readPackets } from '../dist/pcap/index.js';

const folder = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'examples');
const target = path.join(folder, 'verdicts.json');
const runs = [
  ['hello.bpf.o', 'hello'],
  ['firewall.bpf.o', 'firewall'],
  ['loadbalancer.bpf.o', 'loadbalancer'],
  ['loadbalancer.bpf.o', 'loadbalancer_tunnel'],
];

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

if (process.platform !== 'linux' || process.getuid() !== 0) fail('The live kernel needs Linux and root.');
const bpftool = spawnSync('bpftool', ['version'], { encoding: 'utf8' });
if (bpftool.error) fail('bpftool is not installed.');

const packets = [];
for await (const block of readPackets([readFileSync(path.join(folder, 'traffic.pcapng'))])) {
  for (let i = 0; i < block.count; i++)
    packets.push(block.data.slice(block.offsets[i], block.offsets[i + 1]));
}

// A bpffs of our own in a mount namespace of our own: nothing outlives the shell.
const script = `set -e
  cd "$1"
  mkdir fs && mount --make-rprivate / && mount -t bpf none fs
  bpftool prog loadall "$2" fs/programs pinmaps fs/maps >&2
  i=0
  while [ $i -lt "$4" ]; do
    bpftool --json prog run pinned "fs/programs/$3" data_in "in$i" data_out "out$i" repeat 1
    echo
    i=$((i + 1))
  done >results
  for map in fs/maps/*; do
    printf '%s\\t' "\${map##*/}"
    bpftool --json map dump pinned "$map" 2>/dev/null | tr -d '\\n'
    echo
  done >maps`;

const hexToNumber = (bytes) => bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);

/** One map entry as bpftool decodes it by BTF, values of several CPUs added up. */
const entry = ({ formatted, key, value }) => {
  if (!formatted) return { key: String(hexToNumber(key ?? [])), value };
  if (!formatted.values) return formatted;
  const add = (a, b) =>
    typeof a === 'object'
      ? Object.fromEntries(Object.keys(a).map((name) => [name, add(a[name], b[name])]))
      : a + b;
  return { key: formatted.key, value: formatted.values.map((each) => each.value).reduce(add) };
};

const run = ([object, program]) => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'skep-verdicts-'));
  try {
    packets.forEach((packet, i) => {
      writeFileSync(path.join(scratch, `in${i}`), packet);
    });
    const arguments_ = ['-m', 'sh', '-c', script, 'sh', scratch, path.join(folder, object), program];
    const { status, stderr } = spawnSync('unshare', [...arguments_, String(packets.length)], {
      encoding: 'utf8',
    });
    if (status !== 0) fail(`${object} does not run: ${stderr.slice(-2000)}`);
    const results = readFileSync(path.join(scratch, 'results'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    const verdicts = results.map(({ retval }) => retval).join('');
    const changed = {};
    packets.forEach((packet, i) => {
      const out = readFileSync(path.join(scratch, `out${i}`));
      if (!out.equals(packet)) {
        changed[i] = `${out.length} ${createHash('md5').update(out).digest('hex').slice(0, 8)}`;
      }
    });
    const maps = Object.fromEntries(
      readFileSync(path.join(scratch, 'maps'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'))
        .filter(([name, dump]) => dump?.startsWith('[') && !/rodata|by_protocol/.test(name))
        .map(([name, dump]) => {
          const entries = JSON.parse(dump).map(entry);
          return [name, entries.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))];
        }),
    );
    const counts = {};
    for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
    console.log(`${program}: ${JSON.stringify(counts)}, ${Object.keys(changed).length} packets changed`);
    return { object, program, counts, verdicts, changed, maps };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

const recorded = {
  about:
    'verdicts: a digit (enum xdp_action) for each packet; changed: number of a packet (from 0) that the program ' +
    'changed -> its length and the first 8 hex digits of its MD5 afterwards; maps: as bpftool decodes them after ' +
    'all packets, CPUs added up, sorted',
  madeBy: 'scripts/example-verdicts.mjs',
  kernel: `Linux ${release().split('-')[0]} ${process.arch}`,
  tool: bpftool.stdout.split('\n')[0],
  runs: runs.map(run),
};
const text = `${JSON.stringify(recorded, null, 2)}\n`;
if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (JSON.stringify(JSON.parse(readFileSync(target, 'utf8')).runs) !== JSON.stringify(recorded.runs)) {
  fail('The kernel answers otherwise than examples/verdicts.json says.');
}
