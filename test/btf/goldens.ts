// Reads the goldens beside this file.

import { readFileSync } from 'node:fs';
import { Btf } from '../../src/btf/index.js';

const folder = new URL('goldens/', import.meta.url);

export const goldenBytes = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));

export const goldenText = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

export const goldenBtf = (name: string): Btf => Btf.parse(goldenBytes(`${name}.btf`));

/** The objects with BTF among the goldens, by the name of their sections. */
export const objects = ['kinds', 'kinds-be', 'core', 'values', 'bpftool-7.8/hello', 'bpftool-7.8/maps'];
