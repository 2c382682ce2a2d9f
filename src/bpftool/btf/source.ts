// BTF from the user's files: an object's section, or the data by itself.

import { SkepError } from '../../base/error.js';
import { BpfError, Errno, errnoMessage } from '../../bpf/errno.js';
import { Btf } from '../../btf/btf.js';
import { ElfFile } from '../../elf/file.js';
import { FileError } from '../host.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError } from '../tool-error.js';

/** Where the kernel shows its own BTF and that of its modules. */
const KERNEL_FILES = '/sys/kernel/btf/';
export const VMLINUX = `${KERNEL_FILES}vmlinux`;

/** libbpf's number for a file that is neither BTF nor ELF. */
const LIBBPF_ERRNO_FORMAT = 4001;

export const isKernelFile = (path: string): boolean => path.startsWith(KERNEL_FILES);

/** Reads and parses a file. Fails with a ToolError whose words are bpftool's. */
export async function btfOfFile(tool: Tool, path: string, base?: Btf): Promise<Btf> {
  const failed = (what: string, errno: number) =>
    new ToolError(`failed to load BTF from ${path}: ${what}`, statusOfErrno(errno));
  try {
    const bytes = await contentOf(tool, path);
    const options = base === undefined ? {} : { base };
    if (isRawBtf(bytes)) return Btf.parse(bytes, options);
    const elf = ElfFile.parse(bytes, { anyMachine: true });
    const section = elf.sectionByName('.BTF');
    if (section === undefined) throw failed(errnoMessage(Errno.ENODATA), Errno.ENODATA);
    return Btf.parse(elf.contents(section), options);
  } catch (error) {
    if (error instanceof BpfError) throw failed(errnoMessage(error.errno), error.errno);
    if (error instanceof FileError) throw failed(errnoMessage(error.errno), error.errno);
    if (error instanceof SkepError) throw failed(error.message, LIBBPF_ERRNO_FORMAT);
    throw error;
  }
}

/** What -B names, if anything. */
export async function baseBtf(tool: Tool): Promise<Btf | undefined> {
  const { baseBtf: path } = tool.options;
  if (path === undefined) return undefined;
  try {
    return await btfOfFile(tool, path);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError(`failed to parse base BTF at '${path}': ${error.status - 256}`);
  }
}

/** The kernel's own BTF. */
export async function vmlinuxBtf(tool: Tool): Promise<Btf> {
  try {
    return Btf.parse(await contentOf(tool, VMLINUX));
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`failed to parse vmlinux BTF at '${VMLINUX}': ${-error.errno}`);
  }
}

/** The kernel's files are asked of the kernel, which may not be that of this machine. */
const contentOf = async (tool: Tool, path: string): Promise<Uint8Array> =>
  isKernelFile(path) ? (await tool.bpf).readFile(path) : tool.host.readFile(path);

const isRawBtf = ([first, second]: Uint8Array): boolean =>
  (first === 0x9f && second === 0xeb) || (first === 0xeb && second === 0x9f);
