/**
 * The minor units of ISO 4217 (list one, 2026), checked in a test against an independent table.
 * Any other code is a credit unit: counted in whole credits, never converted by itself.
 */

const EXPONENTS: ReadonlyMap<string, number> = new Map([
  ...codes(0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
  ...codes(
    2,
    `
  AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP
  COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD
  KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK
  NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
  TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
`,
  ),
  ...codes(3, "BHD IQD JOD KWD LYD OMR TND"),
  ...codes(4, "CLF UYW"),
]);

/** Decimal places of a currency's minor unit; undefined for a credit unit. */
export function currencyExponent(unit: string): number | undefined {
  return EXPONENTS.get(unit);
}

export function isCurrency(unit: string): boolean {
  return EXPONENTS.has(unit);
}

/** Every ISO 4217 code known here. */
export function currencyCodes(): string[] {
  return [...EXPONENTS.keys()];
}

function codes(exponent: number, list: string): [string, number][] {
  return list
    .trim()
    .split(/\s+/)
    .map((code) => [code, exponent]);
}
