// SPDX-License-Identifier: Apache-2.0
import path from 'node:path';
import { refusal } from './arrows.ts';

const root = path.resolve(import.meta.dirname, '..', '..');

/** ESLint rule: imports follow the arrows of the design, in every form that an import can take. */
export const arrowsRule = {
  meta: { type: 'problem', docs: { description: 'imports follow the arrows of the design' }, schema: [] },
  create(context) {
    const file = path.relative(root, context.filename);
    const check = (node) => {
      if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
      const message = refusal(file, node.value);
      if (message !== null) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source),
      TSExternalModuleReference: (node) => check(node.expression),
      'CallExpression[callee.name="require"]': (node) => check(node.arguments[0]),
    };
  },
};
