// `skep objdump`: the instructions of an object file as llvm-objdump -d prints them, with -S the source lines between
// them. llvm-objdump takes lines from DWARF and the source file; from BTF, which has their text, only where there is no
// DWARF. Here BTF also steps in where the source files are not at hand.

import { readFileSync } from 'node:fs';
import { SkepError } from '../base/error.js';
import { Btf } from '../btf/btf.js';
import { parseBtfExt } from '../btf/ext.js';
import { DebugLines } from '../elf/debug-line.js';
import { ElfFile } from '../elf/file.js';
import { readBytes } from '../node/files.js';
import { UsageError } from './errors.js';
import { type FindSource, listing, sectionsToList } from './listing.js';

export interface ObjdumpOptions {
  source?: boolean;
  section?: readonly string[];
}

/** Runs the command. */
export async function objdump(path: string, options: ObjdumpOptions): Promise<void> {
  const elf = parse(await readBytes(path), path);
  const { section: named = [] } = options;
  const sections = sectionsToList(elf, named);
  for (const name of named) {
    if (sections.some((section) => section.name === name)) continue;
    const known = sectionsToList(elf, []).map((section) => section.name);
    throw new UsageError(`there is no section '${name}' with contents`, {
      where: path,
      hint: known.length > 0 ? `Sections with instructions: ${known.join(', ')}.` : 'It has no instructions.',
    });
  }
  const findSource = options.source ? sourceFinder(elf, path) : undefined;
  let text = '';
  for (const piece of listing(elf, path, sections, findSource)) text += piece;
  process.stdout.write(text);
}

function parse(bytes: Uint8Array, path: string): ElfFile {
  try {
    return ElfFile.parse(bytes);
  } catch (cause) {
    if (!(cause instanceof SkepError)) throw cause;
    throw new SkepError(cause.message, { where: path, hint: cause.hint, cause });
  }
}

function sourceFinder(elf: ElfFile, path: string): FindSource | undefined {
  const find = fromDwarf(elf, path) ?? fromBtf(elf, path);
  if (find === undefined) warn(path, 'it has no source lines: compile with -g');
  return find;
}

const warn = (path: string, text: string): void => {
  process.stderr.write(`skep: ${path}: ${text}\n`);
};

/** Debug information that cannot be read is as good as none, but said. */
function optional<T>(path: string, read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    warn(path, error.message);
    return undefined;
  }
}

/** Lines by DWARF, if one of the source files can be read. */
function fromDwarf(elf: ElfFile, path: string): FindSource | undefined {
  const lines = optional(path, () => DebugLines.parse(elf));
  if (lines === undefined) return undefined;
  const files = new Map<string, string[] | undefined>();
  const read = (file: string): string[] | undefined => {
    if (!files.has(file)) files.set(file, readLines(file));
    return files.get(file);
  };
  const find: FindSource = (section, address) => {
    const found = lines.find(section.index, address);
    return found && { ...found, text: read(found.file)?.[found.line - 1] };
  };
  const readable = sectionsToList(elf, []).some((section) => {
    for (let at = 0; at < section.size; at += 8) if (find(section, at)?.text !== undefined) return true;
    return false;
  });
  return readable ? find : undefined;
}

function readLines(file: string): string[] | undefined {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return undefined;
  }
}

/** Lines by BTF. A record stands for one instruction; those that follow have none. */
function fromBtf(elf: ElfFile, path: string): FindSource | undefined {
  const types = elf.sectionByName('.BTF');
  const ext = elf.sectionByName('.BTF.ext');
  if (types === undefined || ext === undefined) return undefined;
  const info = optional(path, () => parseBtfExt(elf.contents(ext), Btf.parse(elf.contents(types))));
  if (info === undefined || info.lineInfo.size === 0) return undefined;
  const sections = new Map(
    [...info.lineInfo].map(([name, records]) => [
      name,
      new Map(records.map((record) => [record.insnOff, record])),
    ]),
  );
  return (section, address) => sections.get(section.name)?.get(address);
}
