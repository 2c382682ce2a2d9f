// The program commands of the real kernel.

import type {
  Fd,
  PacketBatch,
  PacketBatchResult,
  ProgCommands,
  ProgDump,
  ProgInfo,
  ProgLoadAttr,
  ProgTestRunAttr,
  ProgTestRunResult,
  TaskFdInfo,
} from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import { ProgFlag, type ProgType } from '../bpf/types.js';
import { attributes, infos } from './attributes.js';
import { fdinfo, wallClock } from './machine.js';
import { objKind } from './pins.js';
import { bytesOf, checkName, cString, fromCString, type Session } from './session.js';
import { hexTag } from './struct.js';
import { runBatch, type TestProgram, testRun } from './test-run.js';
import { loadWithLog } from './verifier-log.js';

/** enum bpf_task_fd_type */
const fdTypes: readonly TaskFdInfo['fdType'][] = [
  'raw_tracepoint',
  'tracepoint',
  'kprobe',
  'kretprobe',
  'uprobe',
  'uretprobe',
];
/** More than a path has. */
const NAME_ROOM = 4096;

export class LinuxPrograms implements ProgCommands {
  readonly #session: Session;
  readonly #types = new Map<Fd, ProgType>();

  constructor(session: Session) {
    this.#session = session;
    session.onClose((fd) => this.#types.delete(fd));
  }

  async progLoad(attr: ProgLoadAttr): Promise<Fd> {
    const command = 'BPF_PROG_LOAD';
    const session = this.#session;
    const records = (what: string, bytes: Uint8Array | undefined, size: number): number => {
      if (bytes === undefined || bytes.length % size === 0) return (bytes?.length ?? 0) / size;
      throw new BpfError(command, Errno.EINVAL, `${bytes.length} bytes are no whole ${what}`);
    };
    const { funcInfo, lineInfo, coreRelocations, fdArray, tokenFd } = attr;
    const own = (fd: Fd | undefined) => session.ownIfGiven(command, fd);
    const fds = fdArray?.map((fd) => session.own(command, fd));
    const load = session.struct(attributes.progLoad, {
      prog_type: attr.type,
      insn_cnt: records('instructions', attr.instructions, 8),
      insns: attr.instructions,
      license: cString(attr.license),
      kern_version: attr.kernelVersion,
      prog_flags: (attr.flags ?? 0) | (tokenFd === undefined ? 0 : ProgFlag.TokenFd),
      prog_name: checkName(command, attr.name),
      prog_ifindex: attr.ifindex,
      expected_attach_type: attr.expectedAttachType,
      prog_btf_fd: own(attr.progBtfFd),
      attach_btf_id: attr.attachBtfId,
      attach_prog_fd: own(attr.attachProgFd),
      ...(attr.attachBtfObjFd === undefined ? {} : { attach_btf_obj_fd: own(attr.attachBtfObjFd) }),
      prog_token_fd: own(tokenFd),
      ...(funcInfo?.length
        ? { func_info_rec_size: 8, func_info: funcInfo, func_info_cnt: records('func_info', funcInfo, 8) }
        : {}),
      ...(lineInfo?.length
        ? { line_info_rec_size: 16, line_info: lineInfo, line_info_cnt: records('line_info', lineInfo, 16) }
        : {}),
      ...(coreRelocations?.length
        ? {
            core_relo_rec_size: 16,
            core_relos: coreRelocations,
            core_relo_cnt: records('core_relo', coreRelocations, 16),
          }
        : {}),
      ...(fds?.length
        ? { fd_array: bytesOf(Int32Array.from(fds)), fd_array_cnt: attr.fdArrayBind ? fds.length : 0 }
        : {}),
    });
    const attempt = (buffer: Uint8Array | undefined, level: number) => {
      load.set({
        log_level: level,
        log_size: buffer?.length ?? 0,
        log_buf: buffer ?? new Uint8Array(),
      });
      return session.native.bpf(command, load.bytes);
    };
    const { logLevel = 0, log } = attr;
    const fd = session.adopt(loadWithLog(command, logLevel, attempt, () => load.u32('log_true_size'), log));
    this.#types.set(fd, attr.type);
    return fd;
  }

  /** EINVAL, as from the kernel, for what is no program. */
  #program(fd: Fd): TestProgram {
    const command = 'BPF_PROG_TEST_RUN';
    this.#session.own(command, fd);
    let type = this.#types.get(fd);
    if (type === undefined) {
      if (objKind(fd) !== 'prog') throw new BpfError(command, Errno.EINVAL, `descriptor ${fd} is no program`);
      type = this.#session.info(infos.bpf_prog_info, fd).u32('type') as ProgType;
      this.#types.set(fd, type);
    }
    return { fd, type };
  }

  async progTestRun(fd: Fd, attr: ProgTestRunAttr): Promise<ProgTestRunResult> {
    return testRun(this.#session.native, this.#program(fd), attr);
  }

  async progRunBatch(fd: Fd, batch: PacketBatch): Promise<PacketBatchResult> {
    const program = { ...this.#program(fd), info: () => this.progInfo(fd) };
    return runBatch(this.#session.native, program, batch);
  }

  async progBindMap(prog: Fd, map: Fd): Promise<void> {
    const command = 'BPF_PROG_BIND_MAP';
    const session = this.#session;
    const bind = session.struct(attributes.progBindMap, {
      'prog_bind_map.prog_fd': session.own(command, prog),
      'prog_bind_map.map_fd': session.own(command, map),
    });
    session.call(command, bind);
  }

  async progInfo(fd: Fd): Promise<ProgInfo> {
    const session = this.#session;
    const ids = new Uint32Array(session.info(infos.bpf_prog_info, fd).u32('nr_map_ids'));
    const info = session.info(infos.bpf_prog_info, fd, { nr_map_ids: ids.length, map_ids: bytesOf(ids) });
    return {
      id: info.u32('id'),
      type: info.u32('type') as ProgType,
      name: info.name('name'),
      tag: info.tag('tag'),
      gplCompatible: (info.u32('gpl_compatible') & 1) === 1,
      bytesXlated: info.u32('xlated_prog_len'),
      bytesJited: info.u32('jited_prog_len'),
      // Another thread may have bound one more in between.
      mapIds: [...ids.subarray(0, info.u32('nr_map_ids'))],
      btfId: info.u32('btf_id'),
      loadedAt: wallClock(this.#session.native, info.u64('load_time')),
      uid: info.u32('created_by_uid'),
      memlock: fdinfo(fd, 'memlock') ?? 0,
      verifiedInsns: info.u32('verified_insns'),
      attachBtfObjId: info.u32('attach_btf_obj_id'),
      attachBtfId: info.u32('attach_btf_id'),
      ifindex: info.u32('ifindex'),
      runTimeNs: info.u64('run_time_ns'),
      runCnt: info.u64('run_cnt'),
      recursionMisses: info.u64('recursion_misses'),
    };
  }

  async progDump(fd: Fd): Promise<ProgDump> {
    const session = this.#session;
    const sizes = session.info(infos.bpf_prog_info, fd);
    const xlated = new Uint8Array(sizes.u32('xlated_prog_len'));
    const jited = new Uint8Array(sizes.u32('jited_prog_len'));
    const jitedKsyms = new BigUint64Array(sizes.u32('nr_jited_ksyms'));
    const jitedFuncLens = new Uint32Array(sizes.u32('nr_jited_func_lens'));
    const funcInfoRecSize = sizes.u32('func_info_rec_size');
    const funcInfo = new Uint8Array(sizes.u32('nr_func_info') * funcInfoRecSize);
    const lineInfoRecSize = sizes.u32('line_info_rec_size');
    const lineInfo = new Uint8Array(sizes.u32('nr_line_info') * lineInfoRecSize);
    const jitedLineInfo = new BigUint64Array(sizes.u32('nr_jited_line_info'));
    const tags = new Uint8Array(sizes.u32('nr_prog_tags') * 8);
    const info = session.info(infos.bpf_prog_info, fd, {
      xlated_prog_len: xlated.length,
      xlated_prog_insns: xlated,
      jited_prog_len: jited.length,
      jited_prog_insns: jited,
      nr_jited_ksyms: jitedKsyms.length,
      jited_ksyms: bytesOf(jitedKsyms),
      nr_jited_func_lens: jitedFuncLens.length,
      jited_func_lens: bytesOf(jitedFuncLens),
      func_info_rec_size: funcInfoRecSize,
      nr_func_info: sizes.u32('nr_func_info'),
      func_info: funcInfo,
      line_info_rec_size: lineInfoRecSize,
      nr_line_info: sizes.u32('nr_line_info'),
      line_info: lineInfo,
      jited_line_info_rec_size: 8,
      nr_jited_line_info: jitedLineInfo.length,
      jited_line_info: bytesOf(jitedLineInfo),
      nr_prog_tags: sizes.u32('nr_prog_tags'),
      prog_tags: tags,
    });
    // Where this process may not see something, the kernel clears the pointer to it and leaves the array as it was.
    const seen = <T>(name: Parameters<typeof info.pointer>[0], array: T, nothing: T): T =>
      info.pointer(name) === 0n ? nothing : array;
    return {
      xlated: seen('xlated_prog_insns', xlated, new Uint8Array()),
      jited: seen('jited_prog_insns', jited, new Uint8Array()),
      jitedKsyms: seen('jited_ksyms', jitedKsyms, new BigUint64Array()),
      jitedFuncLens: seen('jited_func_lens', jitedFuncLens, new Uint32Array()),
      funcInfo,
      funcInfoRecSize,
      lineInfo,
      lineInfoRecSize,
      jitedLineInfo: seen('jited_line_info', jitedLineInfo, new BigUint64Array()),
      progTags: Array.from({ length: tags.length / 8 }, (_, i) => hexTag(tags.subarray(i * 8, i * 8 + 8))),
    };
  }

  async progGetNextId(id: number): Promise<number> {
    return this.#session.nextId('BPF_PROG_GET_NEXT_ID', id);
  }

  async progGetFdById(id: number): Promise<Fd> {
    return this.#session.fdById('BPF_PROG_GET_FD_BY_ID', id);
  }

  async progStreamRead(prog: Fd, stream: 1 | 2, size: number): Promise<Uint8Array> {
    const command = 'BPF_PROG_STREAM_READ_BY_FD';
    const session = this.#session;
    const buffer = new Uint8Array(size);
    const read = session.struct(attributes.progStreamRead, {
      'prog_stream_read.stream_buf': buffer,
      'prog_stream_read.stream_buf_len': size,
      'prog_stream_read.stream_id': stream,
      'prog_stream_read.prog_fd': session.own(command, prog),
    });
    return buffer.subarray(0, session.call(command, read));
  }

  async enableStats(type: number): Promise<Fd> {
    const enable = this.#session.struct(attributes.enableStats, { 'enable_stats.type': type });
    return this.#session.open('BPF_ENABLE_STATS', enable);
  }

  async taskFdQuery(pid: number, fd: number): Promise<TaskFdInfo> {
    const name = new Uint8Array(NAME_ROOM);
    const query = this.#session.struct(attributes.taskFdQuery, {
      'task_fd_query.pid': pid,
      'task_fd_query.fd': fd,
      'task_fd_query.buf_len': name.length,
      'task_fd_query.buf': name,
    });
    const command = 'BPF_TASK_FD_QUERY';
    this.#session.call(command, query);
    const type = query.u32('task_fd_query.fd_type');
    const fdType = fdTypes[type];
    if (!fdType)
      throw new BpfError(command, Errno.EINVAL, `what descriptor ${fd} is (${type}) is not known here`);
    return {
      progId: query.u32('task_fd_query.prog_id'),
      fdType,
      name: fromCString(name),
      probeOffset: query.u64('task_fd_query.probe_offset'),
      probeAddr: query.u64('task_fd_query.probe_addr'),
    };
  }
}
