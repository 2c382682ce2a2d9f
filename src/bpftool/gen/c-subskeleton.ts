// A C header for a library's part of an object that somebody else opens and loads: it finds the library's maps, programs
// and variables in there.

import { Declarations } from './c-declarations.js';
import { code } from './c-lines.js';
import { group, header, room } from './c-skeleton.js';
import type { DescribedMap, DescribedObject } from './described.js';

export const cSubskeleton = (object: DescribedObject): string =>
  header(
    object,
    'SUBSKEL_H',
    ['errno.h', 'stdlib.h', 'bpf/libbpf.h'],
    [structure(object), functions(object)].join('\n'),
  );

/** Sections that have variables to point to. */
const sectionsOf = ({ maps }: DescribedObject): DescribedMap[] =>
  maps.filter(({ variables = [] }) => variables.length > 0);

function structure(object: DescribedObject): string {
  const { name, maps, programs, spec } = object;
  const declarations = spec.btf && new Declarations(spec.btf);
  const pointer = ({ spec: map }: DescribedMap, typeId: number, variable: string): string => {
    const type = declarations?.of(typeId, '', 2, map.section?.kind === 'kconfig') ?? 'void';
    return declarations?.wrapsName(typeId) ? `__typeof__(${type}) *${variable}` : `${type} *${variable}`;
  };
  const sections = sectionsOf(object).map((map) => {
    const members = (map.variables ?? []).map(({ name: variable, typeId }) => pointer(map, typeId, variable));
    const lines = members.map((member) => `\t\t${member};\n`).join('');
    return `\tstruct ${name}__${map.identifier} {\n${lines}\t} ${map.identifier};\n`;
  });
  return [
    `struct ${name} {\n\tstruct bpf_object *obj;\n\tstruct bpf_object_subskeleton *subskel;\n`,
    group(
      'maps',
      maps.map(({ identifier }) => `struct bpf_map *${identifier}`),
    ),
    group(
      'progs',
      programs.map((program) => `struct bpf_program *${program}`),
    ),
    ...sections,
    code(`
#ifdef __cplusplus
  static inline struct ${name} *open(const struct bpf_object *src);
  static inline void destroy(struct ${name} *skel);
#endif
};
`),
  ].join('');
}

function functions(object: DescribedObject): string {
  const { name, maps, programs } = object;
  const variables = sectionsOf(object).flatMap(({ identifier, variables = [] }) =>
    variables.map((variable) => ({ section: identifier, name: variable.name })),
  );
  const parts = [
    code(`/* Frees what was found; the object itself belongs to whoever opened it. */
static inline void ${name}__destroy(struct ${name} *skel)
{
  if (skel == NULL)
    return;
  if (skel->subskel != NULL)
    bpf_object__destroy_subskeleton(skel->subskel);
  free(skel);
}

static inline int ${name}__describe(struct ${name} *obj, const struct bpf_object *src)
{
  struct bpf_object_subskeleton *skeleton;

  skeleton = (struct bpf_object_subskeleton *)calloc(1, sizeof(*skeleton));
  if (skeleton == NULL)
    return -ENOMEM;
  /* From here on it is freed with the rest. */
  obj->subskel = skeleton;
  skeleton->sz = sizeof(*skeleton);
  skeleton->obj = src;
`),
  ];
  const table = (field: 'vars' | 'maps' | 'progs', type: string, rows: string[][]): void => {
    if (rows.length === 0) return;
    const one = field.slice(0, -1);
    parts.push(room(field, type, rows.length));
    rows.forEach((row, i) => {
      for (const line of row) parts.push(`\tskeleton->${field}[${i}].${line};\n`);
    });
    parts.push(`\tskeleton->${one}_skel_sz = sizeof(*skeleton->${field});\n`);
    parts.push(`\tskeleton->${one}_cnt = ${rows.length};\n`);
  };
  table(
    'vars',
    'bpf_var_skeleton',
    variables.map((variable) => [
      `name = "${variable.name}"`,
      `map = &obj->maps.${variable.section}`,
      `addr = (void **)&obj->${variable.section}.${variable.name}`,
    ]),
  );
  table(
    'maps',
    'bpf_map_skeleton',
    maps.map((map) => [`name = "${map.name}"`, `map = &obj->maps.${map.identifier}`]),
  );
  table(
    'progs',
    'bpf_prog_skeleton',
    programs.map((program) => [`name = "${program}"`, `prog = &obj->progs.${program}`]),
  );
  parts.push(
    code(`  return 0;
}

/* Finds everything in an object that is open. NULL and errno when something is not there. */
static inline struct ${name} *${name}__open(const struct bpf_object *src)
{
  struct ${name} *obj = (struct ${name} *)calloc(1, sizeof(struct ${name}));
  int result = obj == NULL ? -ENOMEM : ${name}__describe(obj, src);

  if (result == 0)
    result = bpf_object__open_subskeleton(obj->subskel);
  if (result == 0)
    return obj;
  ${name}__destroy(obj);
  errno = -result;
  return NULL;
}

#ifdef __cplusplus
struct ${name} *${name}::open(const struct bpf_object *src)
{
  return ${name}__open(src);
}

void ${name}::destroy(struct ${name} *skel)
{
  ${name}__destroy(skel);
}
#endif
`),
  );
  return parts.join('');
}
