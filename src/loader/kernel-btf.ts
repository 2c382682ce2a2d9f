// The object's BTF as a kernel takes it. The kernel knows no extern variables: those of `.ksyms` and `.kconfig` become
// ordinary ones, and functions in a DATASEC give way to a dummy variable (libbpf's bpf_object__collect_externs).

import type { Btf } from '../btf/btf.js';
import type { BtfDatasec, BtfSectionVar } from '../btf/types.js';
import { BtfEditor } from '../elf/btf-edit.js';

const VAR_INFO = 14 << 24;
const GLOBAL = 1;
const DUMMY = 'dummy_ksym';

/** The bytes to load; those of `btf` itself when it declares nothing that is the kernel's. */
export function kernelBtfBytes(btf: Btf): Uint8Array {
  const kconfig = datasecOf(btf, '.kconfig');
  const ksyms = datasecOf(btf, '.ksyms');
  if (kconfig === undefined && ksyms === undefined) return btf.bytes;
  const editor = new BtfEditor(btf);
  for (const { type } of kconfig?.vars ?? []) {
    if (btf.kind(type) === 'VAR') editor.setVarLinkage(type, 'global');
  }
  if (ksyms !== undefined) allocateSymbols(btf, editor, ksyms);
  return editor.build().bytes;
}

function datasecOf(btf: Btf, name: string): BtfDatasec | undefined {
  const id = btf.findByName(name, 'DATASEC');
  const type = id === undefined ? undefined : btf.type(id);
  return type?.kind === 'DATASEC' ? type : undefined;
}

/** Each symbol as a variable of four bytes, one after the other. */
function allocateSymbols(btf: Btf, editor: BtfEditor, section: BtfDatasec): void {
  const int = intId(btf);
  let dummy: { id: number; name: number } | undefined;
  const vars = section.vars.map(({ type: id }, i): BtfSectionVar => {
    const place = { offset: i * 4, size: 4 };
    const type = btf.type(id);
    if (type.kind !== 'FUNC') {
      editor.setVarLinkage(id, 'global');
      editor.setType(id, int);
      return { type: id, ...place };
    }
    if (dummy === undefined) {
      const name = editor.addString(DUMMY);
      dummy = { id: editor.addType([name, VAR_INFO, int, GLOBAL]), name };
    }
    const proto = btf.type(type.type);
    if (proto.kind === 'FUNC_PROTO') {
      for (const [index, param] of proto.params.entries()) {
        if (param.type !== 0 && param.name === '') editor.setParamName(proto.id, index, dummy.name);
      }
    }
    editor.setFuncLinkage(id, 'global');
    return { type: dummy.id, ...place };
  });
  editor.setDatasec(section.id, vars.length * 4, vars);
}

/** A 32-bit integer; every C program has one, and without it the kernel says what is wrong. */
function intId(btf: Btf): number {
  for (let id = 1; id < btf.typeCount; id++) {
    if (btf.kind(id) !== 'INT') continue;
    const type = btf.type(id);
    if (type.kind === 'INT' && type.bits === 32) return id;
  }
  return 0;
}
