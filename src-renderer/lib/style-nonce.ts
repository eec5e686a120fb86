// SPDX-License-Identifier: Apache-2.0
/**
 * The terminal makes <style> elements, which the page's policy allows only with the nonce of this page load. Elements
 * that scripts of ours make get it; markup that somebody smuggled in does not.
 */
let allowed = false;

export function allowStyles(): void {
  if (allowed) return;
  allowed = true;
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
  const create = (name: string, options?: ElementCreationOptions): HTMLElement =>
    // Only its overload for unknown names is deprecated.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    Document.prototype.createElement.call(document, name, options);
  Object.defineProperty(document, 'createElement', {
    configurable: true,
    value: (name: string, options?: ElementCreationOptions): HTMLElement => {
      const element = create(name, options);
      if (name.toLowerCase() === 'style') element.nonce = nonce;
      return element;
    },
  });
}
