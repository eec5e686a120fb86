// SPDX-License-Identifier: Apache-2.0
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { arrowsRule } from './scripts/layering/eslint-rule.mjs';

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Export by name: a thing has one name everywhere.',
};
const wallClock = {
  selector: 'MemberExpression[object.name="Date"][property.name="now"], NewExpression[callee.name="Date"]',
  message: 'The engine measures with monotonic time: performance.now() or process.hrtime.bigint().',
};

export default defineConfig(
  globalIgnores(['**/build/', '**/out/', '**/dist/', 'coverage/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { godwit: { rules: { arrows: arrowsRule } } },
    rules: {
      'godwit/arrows': 'error',
      'no-restricted-syntax': ['error', noDefaultExport],
      'max-lines': ['warn', { max: 300, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // Numbers and bigints read well in sentences, and never by accident.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => socket.destroy()` is a common and harmless shape.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Interfaces may ask for a promise where one implementation has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['src-main/machine/engine/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, wallClock] },
  },
  {
    files: ['tests/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines': ['warn', { max: 500, skipBlankLines: true, skipComments: true }],
    },
  },
  // Vitest's way to find its configuration.
  { files: ['vitest.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
  {
    files: ['**/*.mjs'],
    extends: [tseslint.configs.recommended, tseslint.configs.disableTypeChecked],
    rules: { eqeqeq: 'error', 'max-lines': ['warn', { max: 300, skipBlankLines: true, skipComments: true }] },
  },
);
