// Object files of the host, read whole.

import { readFile } from 'node:fs/promises';
import { parseObject } from '../elf/object.js';
import type { CollectionSpec } from '../elf/spec.js';
import { fileError } from './file-error.js';

/** The contents of a file. Throws a SkepError that names the file. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Reads and parses an object file (`prog.bpf.o`); errors name the file. */
export async function openObject(path: string): Promise<CollectionSpec> {
  return parseObject(await readBytes(path), { name: path });
}
