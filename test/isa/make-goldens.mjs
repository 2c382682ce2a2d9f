// Records what the real tools say about every instruction form, for the tests in src/isa:
//
//    llvm.json     llvm-mc-19 (bytes in both byte orders) and llvm-objdump-19 (text, plain and with 32-bit registers)
//    kernel.json   the verifier's log of Linux for a program of all forms that it accepts (needs root and bpftool)
//    xlated.json   programs as Linux rewrote them: recorded output of bpftool prog dump xlated ... opcodes
//
// Usage: node test/isa/make-goldens.mjs [llvm] [kernel]      (both when none is named)
//        node test/isa/make-goldens.mjs xlated 'bpftool 7.8, Linux 6.18' DUMP.txt...

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const wanted = new Set(args.length > 0 ? args : ['llvm', 'kernel']);
const work = mkdtempSync(join(tmpdir(), 'skep-isa-'));

const ALU = ['+=', '-=', '*=', '/=', 's/=', '|=', '&=', '<<=', '>>=', '%=', 's%=', '^=', '=', 's>>='];
const CONDITIONS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'];
const IMMEDIATES = ['0', '7', '-10', '2147483647', '-2147483648'];
const OFFSETS = ['+ 0', '+ 8', '- 4', '+ 32767', '- 32768'];

/** Every form that LLVM 19 knows, several operands each. */
function llvmForms() {
  const forms = [];
  for (const r of ['r', 'w']) {
    for (const op of ALU) {
      forms.push(`${r}0 ${op} ${r}10`, `${r}9 ${op} ${r}0`);
      forms.push(...IMMEDIATES.map((imm) => `${r}3 ${op} ${imm}`));
    }
    forms.push(`${r}4 = -${r}4`, `${r}1 = (s8)${r}2`, `${r}1 = (s16)${r}2`);
    for (const op of CONDITIONS) {
      forms.push(`if ${r}0 ${op} ${r}10 goto +3`, `if ${r}1 ${op} ${r}2 goto -32768`);
      forms.push(...IMMEDIATES.map((imm) => `if ${r}3 ${op} ${imm} goto +32767`));
    }
  }
  forms.push('r1 = (s32)r2');
  for (const order of ['le', 'be', 'bswap']) {
    for (const bits of [16, 32, 64]) forms.push(`r5 = ${order}${bits} r5`);
  }
  for (const [a, b] of [
    [0, 1],
    [1, 0],
    [17, 65535],
  ])
    forms.push(`r1 = addr_space_cast(r2, ${a}, ${b})`);
  for (const offset of OFFSETS) {
    for (const bits of [8, 16, 32, 64]) {
      const r = bits === 64 ? 'r' : 'w';
      forms.push(`${r}1 = *(u${bits} *)(r2 ${offset})`, `*(u${bits} *)(r10 ${offset}) = ${r}3`);
      forms.push(`*(u${bits} *)(r4 ${offset}) = -5`);
      if (bits < 64) forms.push(`r1 = *(s${bits} *)(r2 ${offset})`);
    }
    for (const [r, bits, x] of [
      ['r', 64, '_64'],
      ['w', 32, '32_32'],
    ]) {
      for (const op of ['+=', '|=', '&=', '^=']) forms.push(`lock *(u${bits} *)(r1 ${offset}) ${op} ${r}2`);
      for (const op of ['add', 'or', 'and', 'xor']) {
        forms.push(`${r}3 = atomic_fetch_${op}((u${bits} *)(r4 ${offset}), ${r}3)`);
      }
      forms.push(`${r}3 = xchg${x}(r4 ${offset}, ${r}3)`, `${r}0 = cmpxchg${x}(r4 ${offset}, ${r}0, ${r}5)`);
    }
  }
  for (const bits of [8, 16, 32]) {
    forms.push(`r0 = *(u${bits} *)skb[20]`, `r0 = *(u${bits} *)skb[-5]`, `r0 = *(u${bits} *)skb[r7]`);
  }
  for (const imm of ['0', '123', '-1', '4294967295', '0x123456789abcdef0', '-9223372036854775808']) {
    forms.push(`r1 = ${imm} ll`);
  }
  for (const pseudo of [1, 2, 3, 4, 5, 6]) forms.push(`ld_pseudo r1, ${pseudo}, 5`);
  forms.push('goto +5', 'goto -1', 'goto -32768', 'may_goto +5', 'may_goto -5', 'gotol -6', 'gotol +32767');
  forms.push('call 6', 'call -1', 'call 2147483647', 'callx r1', 'exit');
  return forms;
}

const version = (tool) =>
  execFileSync(tool, ['--version'], { encoding: 'utf8' }).match(/version ([\w.]+)/)?.[1];

/** Assembles lines one after another; the bytes of each. */
function assembleForms(triple, forms) {
  const source = join(work, 'forms.s');
  const object = join(work, 'forms.o');
  writeFileSync(source, `${forms.join('\n')}\n`);
  execFileSync('llvm-mc-19', [`-triple=${triple}`, '-mcpu=v4', '-filetype=obj', source, '-o', object]);
  return object;
}

/** `llvm-objdump -d`: for each instruction its bytes in hex and its text. */
function objdump(object, args) {
  const output = execFileSync('llvm-objdump-19', ['-d', ...args, object], { encoding: 'utf8' });
  return [...output.matchAll(/^ *\d+:\t([0-9a-f ]+)\t(.*)$/gm)].map(([, bytes, text]) => ({
    bytes: bytes.replaceAll(' ', ''),
    // Where a jump goes is told in units of the section here; labels are tested apart.
    text: text.replace(/ <[^<> ]*>$/, ''),
  }));
}

function recordLlvm() {
  const forms = llvmForms();
  const little = assembleForms('bpfel', forms);
  const plain = objdump(little, []);
  const alu32 = objdump(little, ['--mcpu=v3']);
  const big = objdump(assembleForms('bpfeb', forms), []);
  for (const list of [plain, alu32, big]) {
    if (list.length !== forms.length)
      throw new Error(`${list.length} instructions for ${forms.length} forms`);
  }
  write('llvm.json', {
    tools: `llvm-mc ${version('llvm-mc-19')}, llvm-objdump ${version('llvm-objdump-19')}`,
    forms: forms.map((source, i) => ({
      source,
      little: plain[i].bytes,
      big: big[i].bytes,
      text: plain[i].text,
      ...(alu32[i].text === plain[i].text ? {} : { alu32: alu32[i].text }),
    })),
  });
}

/** A socket filter of every form that the verifier accepts, as LLVM assembly. */
function kernelForms() {
  const lines = ['r6 = r1', 'r7 = 1', 'w8 = 2'];
  for (const r of ['r', 'w']) {
    for (const op of ALU) lines.push(`${r}2 = 100`, `${r}3 = 3`, `${r}2 ${op} ${r}3`, `${r}2 ${op} 5`);
    lines.push(`${r}2 = -7`, `${r}2 = -${r}2`, `${r}3 = (s8)${r}2`, `${r}3 = (s16)${r}2`);
    for (const op of CONDITIONS) {
      lines.push(`${r}2 = 1`, `${r}3 = 2`, `if ${r}2 ${op} ${r}3 goto +0`, `if ${r}2 ${op} -2 goto +0`);
    }
  }
  lines.push('r3 = (s32)r2');
  for (const order of ['le', 'be', 'bswap']) {
    for (const bits of [16, 32, 64]) lines.push(`r2 = ${order}${bits} r2`);
  }
  for (const bits of [64, 32, 16, 8]) {
    const r = bits === 64 ? 'r' : 'w';
    lines.push(
      `*(u${bits} *)(r10 - 8) = -5`,
      `*(u${bits} *)(r10 - 8) = ${r}8`,
      `${r}2 = *(u${bits} *)(r10 - 8)`,
    );
    if (bits < 64) lines.push(`r2 = *(s${bits} *)(r10 - 8)`);
  }
  lines.push('*(u64 *)(r10 - 8) = 0');
  for (const [r, bits, x] of [
    ['r', 64, '_64'],
    ['w', 32, '32_32'],
  ]) {
    for (const op of ['+=', '|=', '&=', '^=']) lines.push(`lock *(u${bits} *)(r10 - 8) ${op} ${r}8`);
    for (const op of ['add', 'or', 'and', 'xor']) {
      lines.push(`${r}8 = atomic_fetch_${op}((u${bits} *)(r10 - 8), ${r}8)`);
    }
    lines.push(`${r}8 = xchg${x}(r10 - 8, ${r}8)`, `${r}0 = 0`, `${r}0 = cmpxchg${x}(r10 - 8, ${r}0, ${r}8)`);
  }
  // LLVM 19 cannot write these: load_acquire and store_release of 1, 2, 4 and 8 bytes.
  for (const opcode of ['d3', 'cb', 'c3', 'db']) {
    lines.push(`.byte 0x${opcode}, 0xa2, 0xf8, 0xff, 0x00, 0x01, 0x00, 0x00`);
    lines.push(`.byte 0x${opcode}, 0x8a, 0xf8, 0xff, 0x10, 0x01, 0x00, 0x00`);
  }
  for (const bits of [8, 16, 32]) lines.push(`r0 = *(u${bits} *)skb[20]`, `r0 = *(u${bits} *)skb[r7]`);
  lines.push('.byte 0x50, 0x70, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00');
  lines.push('r1 = 0x123456789abcdef0 ll', 'r1 = -1 ll', 'goto +0', 'gotol +0', 'may_goto +0');
  lines.push('call 7', 'call 5', 'call sub', 'r0 = 0', 'exit', 'sub:', 'r0 = 1', 'exit');
  return lines;
}

function recordKernel() {
  const source = join(work, 'kernel.s');
  const object = join(work, 'kernel.o');
  const lines = kernelForms();
  const text = ['.section socket,"ax",@progbits', '.globl forms', '.type forms,@function', 'forms:'];
  const license = ['.section license,"aw",@progbits', '.globl _license', '_license:', '.asciz "GPL"'];
  // libbpf takes subprograms from .text and puts them behind the main program.
  const body = lines.join('\n').replace('sub:', '.size forms, .-forms\n.text\n.type sub,@function\nsub:');
  writeFileSync(source, [...text, body, '.size sub, .-sub', ...license, ''].join('\n'));
  execFileSync('llvm-mc-19', ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', source, '-o', object]);
  const code = (section) => {
    const file = join(work, `${section}.bin`);
    execFileSync('llvm-objcopy-19', ['-O', 'binary', '-j', section, object, file]);
    return readFileSync(file);
  };
  const mount = join(work, 'fs');
  execFileSync('mkdir', [mount]);
  execFileSync('mount', ['-t', 'bpf', 'bpf', mount]);
  try {
    const { status, stderr } = spawnSync('bpftool', ['-d', 'prog', 'load', object, join(mount, 'forms')], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    if (status !== 0) throw new Error(`bpftool failed:\n${stderr.slice(-4000)}`);
    const texts = new Map();
    for (const [, slot, line] of stderr.matchAll(/^(\d+): (\([0-9a-f]{2}\) .*?)(?: +;.*)?$/gm)) {
      texts.set(Number(slot), line.trimEnd());
    }
    const main = code('socket');
    const bytes = Buffer.concat([main, code('.text')]);
    for (let at = 0; at < main.length; at += 8) {
      if (bytes[at] === 0x85 && bytes[at + 1] === 0x10)
        bytes.writeInt32LE((main.length - at) / 8 - 1, at + 4);
    }
    write('kernel.json', {
      tools: `Linux ${release().replace(/-.*/, '')}, the verifier's log at level 2; bytes by llvm-mc ${version('llvm-mc-19')}`,
      forms: [...texts].map(([slot, line]) => {
        const wide = bytes[slot * 8] === 0x18;
        return { little: bytes.subarray(slot * 8, slot * 8 + (wide ? 16 : 8)).toString('hex'), text: line };
      }),
    });
  } finally {
    execFileSync('umount', [mount]);
  }
}

/** Dumps that `bpftool prog dump xlated ... opcodes` made elsewhere: the bytes of each instruction and its text. */
function recordXlated(tools, files) {
  const dumps = files.map((file) => readFileSync(file, 'utf8')).join('');
  write('xlated.json', {
    tools,
    forms: [...dumps.matchAll(/^ *\d+: (\(.*)\n +([0-9a-f ]+)$/gm)].map(([, text, bytes]) => ({
      little: bytes.replaceAll(' ', ''),
      text,
    })),
  });
}

function write(name, golden) {
  const made = `node test/isa/make-goldens.mjs ${name.replace('.json', '')}`;
  const file = join(here, name);
  // Only the outermost level broken into lines; the project's formatter then settles the rest.
  const forms = golden.forms.map((form) => JSON.stringify(form)).join(',\n');
  writeFileSync(file, `${JSON.stringify({ made, ...golden, forms: [] }).slice(0, -2)}${forms}]}`);
  execFileSync('npx', ['biome', 'format', '--write', file], { stdio: 'ignore', cwd: join(here, '../..') });
  console.log(`${name}: ${golden.forms.length} instructions`);
}

try {
  if (args[0] === 'xlated') {
    recordXlated(args[1], args.slice(2));
  } else {
    if (wanted.has('llvm')) recordLlvm();
    if (wanted.has('kernel')) recordKernel();
  }
} finally {
  rmSync(work, { recursive: true });
}
