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
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (name.toLowerCase() === 'style') element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}
