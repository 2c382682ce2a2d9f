// The errors of the host's file system, for people.

import { SkepError } from '../base/error.js';

const reasons: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  ENOENT: ['there is no such file', 'Check the name and the folder.'],
  EACCES: ['it may not be opened', 'Check the permissions of the file and its folder.'],
  EPERM: ['it may not be opened', 'Check the permissions of the file and its folder.'],
  EISDIR: ['it is a folder', 'Name a file in it.'],
  ENOTDIR: ['a part of its path is no folder', 'Check the name and the folder.'],
  ENOSPC: ['the disk is full', 'Make room or write elsewhere.'],
};

/** The error of the file system, for a person. */
export function fileError(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !('code' in cause)) return cause;
  const [message, hint] = reasons[String(cause.code)] ?? [cause.message, ''];
  return new SkepError(message, { where: path, hint, cause });
}
