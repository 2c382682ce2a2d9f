// For tests: the captures of this folder, what tshark reads from them, and ours in the same form.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { PacketBlock } from '../../../src/pcap/index.js';

const folder = new URL('.', import.meta.url);

/** Names of the captures here; each has a golden `name.tsv` that scripts/pcap-fixtures.sh made. */
export const captures: readonly string[] = readdirSync(folder).filter((name) => /\.pcap(ng)?$/.test(name));

export const capture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));

/** One packet as the goldens have it: time, interface, length, captured length, MD5. */
export type Row = readonly [time: string, id: string, length: string, captured: string, md5: string];

/** tshark's reading. Records that are no packets (it lists custom blocks) have no interface and are left out. */
export const golden = (name: string): Row[] =>
  readFileSync(new URL(`${name}.tsv`, folder), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): Row => {
      const [time = '', id = '', length = '', captured = '', , md5 = ''] = line.split('\t');
      return [time, name.endsWith('.pcap') ? '0' : id, length, captured, md5];
    })
    .filter(([, id]) => id !== '');

/** The verdicts that tshark reads, '' for none. */
export const goldenVerdicts = (name: string): string[] =>
  readFileSync(new URL(`${name}.tsv`, folder), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[4] ?? '');

/** The packets of blocks in the form of the goldens; a packet without a time has an empty one. */
export const rows = (blocks: readonly PacketBlock[]): Row[] =>
  blocks.flatMap((block) =>
    Array.from({ length: block.count }, (_, i): Row => {
      const time = block.timestamps[i] ?? 0n;
      const bytes = block.data.subarray(block.offsets[i], block.offsets[i + 1]);
      return [
        time === 0n ? '' : `${time / 1_000_000_000n}.${String(time % 1_000_000_000n).padStart(9, '0')}`,
        String(block.interfaceIds[i]),
        String(block.originalLengths[i]),
        String(bytes.length),
        createHash('md5').update(bytes).digest('hex'),
      ];
    }),
  );
