// .BTF.ext: which function, source line and CO-RE relocation belongs to which instruction.
//
//     header      u16 magic 0xeb9f | u8 version | u8 flags | u32 hdr_len | (off, len) of func_info and line_info,
//                 and of core_relo where hdr_len reaches that far
//     subsection  u32 rec_size, then for each section: u32 sec_name_off | u32 num_info | num_info records
//
// A record may be longer than what is known of it; the rest is skipped.

import { SkepError } from '../base/error.js';
import { ByteReader } from '../base/reader.js';
import type { Btf } from './btf.js';

const MAGIC = 0xeb9f;

/** The function that begins at an instruction. */
export interface FuncInfo {
  /** In bytes from the start of the section, as in the file. */
  insnOff: number;
  /** Type id of a FUNC. */
  typeId: number;
}

/** The source line that an instruction begins. */
export interface LineInfo {
  /** In bytes from the start of the section, as in the file. */
  insnOff: number;
  /** Offsets in the string table of the BTF. */
  fileNameOff: number;
  lineOff: number;
  line: number;
  column: number;
  file: string;
  /** The text of the line. */
  text: string;
}

/** How an instruction depends on the layout of a type in the running kernel. */
export interface CoreRelocation {
  /** Type id of the root type that the access string starts from. */
  typeId: number;
  /** Indices of the members accessed, `0:1:2`, or an enumerator's index, or `0`. */
  access: string;
  /** Offset of the access string in the string table of the BTF. */
  accessOff: number;
  /** What is relocated: `enum bpf_core_relo_kind` of linux/bpf.h, 0 (field byte offset) to 12 (type matches). */
  kind: number;
}

/** A relocation and where it applies. */
export interface CoreRelocationRecord extends CoreRelocation {
  /** In bytes from the start of the section, as in the file. */
  insnOff: number;
}

/** Records by the name of the section they belong to, in the order of the file. */
export interface BtfExt {
  funcInfo: Map<string, FuncInfo[]>;
  lineInfo: Map<string, LineInfo[]>;
  coreRelocations: Map<string, CoreRelocationRecord[]>;
}

/**
 * Reads a `.BTF.ext` section whose type ids and strings are those of `btf`.
 * Throws a SkepError that names the subsection and the record for anything malformed.
 */
export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const where = '.BTF.ext';
  const littleEndian = bytes[0] !== MAGIC >>> 8;
  const reader = new ByteReader(bytes, littleEndian, where);
  const magic = reader.u16(0, 'magic');
  if (magic !== MAGIC) throw new SkepError(`magic is 0x${magic.toString(16)}, not 0xeb9f`, { where });
  const version = reader.u8(2, 'version');
  if (version !== 1) throw new SkepError(`version ${version} is not known (only 1)`, { where });
  const headerSize = reader.u32(4, 'hdr_len');
  if (headerSize < 24) throw new SkepError(`hdr_len ${headerSize} is below 24`, { where });
  reader.need(0, headerSize, 'the header');

  const subsection = <T>(
    field: number,
    name: string,
    known: number,
    record: (at: number, place: string) => T,
  ): Map<string, T[]> => {
    const sections = new Map<string, T[]>();
    if (headerSize < field + 8) return sections;
    const length = reader.u32(field + 4, `${name} length`);
    if (length === 0) return sections;
    const start = headerSize + reader.u32(field, `${name} offset`);
    reader.need(start, length, name);
    const end = start + length;
    if (length < 4) throw new SkepError(`${name} of ${length} bytes has no rec_size`, { where });
    const recordSize = reader.u32(start, `${name} rec_size`);
    if (recordSize < known || recordSize % 4 !== 0) {
      throw new SkepError(`${name} rec_size ${recordSize} is below ${known} or not a multiple of 4`, {
        where,
      });
    }
    for (let at = start + 4; at < end; ) {
      if (end - at < 8) {
        throw new SkepError(`${name}: ${end - at} bytes are left, too few for a section header`, { where });
      }
      const section = btf.string(reader.u32(at, `${name} sec_name_off`));
      const count = reader.u32(at + 4, `${name} num_info`);
      at += 8;
      if (count === 0) throw new SkepError(`${name} of section '${section}' has no records`, { where });
      if (count * recordSize > end - at) {
        throw new SkepError(
          `${name} of section '${section}': ${count} records of ${recordSize} bytes are more than the ${end - at} bytes left`,
          { where },
        );
      }
      let records = sections.get(section);
      if (records === undefined) {
        records = [];
        sections.set(section, records);
      }
      for (let i = 0; i < count; i++, at += recordSize) {
        records.push(record(at, `.BTF.ext ${name} of section '${section}', record ${i}`));
      }
    }
    return sections;
  };

  const u32 = (at: number) => reader.u32(at, 'record');
  const checkType = (id: number, place: string): number => {
    if (id < btf.typeCount) return id;
    throw new SkepError(`type id ${id} is outside the types, which end before ${btf.typeCount}`, {
      where: place,
    });
  };

  return {
    funcInfo: subsection(8, 'func_info', 8, (at, place) => {
      const typeId = checkType(u32(at + 4), place);
      if (btf.kind(typeId) !== 'FUNC') {
        throw new SkepError(`type [${typeId}] is a ${btf.kind(typeId)}, not a FUNC`, { where: place });
      }
      return { insnOff: u32(at), typeId };
    }),
    lineInfo: subsection(16, 'line_info', 16, (at) => {
      const fileNameOff = u32(at + 4);
      const lineOff = u32(at + 8);
      const place = u32(at + 12);
      return {
        insnOff: u32(at),
        fileNameOff,
        lineOff,
        line: place >>> 10,
        column: place & 0x3ff,
        file: btf.string(fileNameOff),
        text: btf.string(lineOff),
      };
    }),
    coreRelocations: subsection(24, 'core_relo', 16, (at, place) => {
      const accessOff = u32(at + 8);
      return {
        insnOff: u32(at),
        typeId: checkType(u32(at + 4), place),
        access: btf.string(accessOff),
        accessOff,
        kind: u32(at + 12),
      };
    }),
  };
}
