// A second factor for a user, enrolled past the app.

import assert from 'node:assert/strict'
import { Secret, TOTP } from 'otpauth'

export interface Factor {
  device: TOTP
  recoveryCodes: string[]
  /** Takes it away again. */
  disable: () => Promise<void>
}

/** Enrols a device. Its first code confirms it, so the next one to count is that of the step after. */
export async function enrol(url: string, email: string, password: string): Promise<Factor> {
  const ask = async (document: string, accessToken?: string): Promise<any> => {
    const headers = { 'Content-Type': 'application/json', ...(accessToken && { Authorization: `Bearer ${accessToken}` }) }
    const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query: document }) })
    const { data } = await answer.json() as { data: Record<string, { userErrors: unknown[] }> }
    const [payload] = Object.values(data)
    assert.deepEqual(payload?.userErrors, [])
    return payload
  }
  const { accessToken } = await ask(`mutation { createSession(input: { email: "${email}", password: "${password}" }) { accessToken userErrors { code } } }`)
  await ask(`mutation { reauthenticate(input: { password: "${password}" }) { userErrors { code } } }`, accessToken)
  const { enrolment } = await ask('mutation { beginSecondFactor { enrolment { secret } userErrors { code } } }', accessToken)
  const device = new TOTP({ secret: Secret.fromBase32(enrolment.secret) })
  const { recoveryCodes } = await ask(`mutation { confirmSecondFactor(input: { code: "${device.generate()}" }) { recoveryCodes userErrors { code } } }`, accessToken)
  const disable = async (): Promise<void> => {
    await ask(`mutation { reauthenticate(input: { password: "${password}", code: "${recoveryCodes.at(-1)}" }) { userErrors { code } } }`, accessToken)
    await ask('mutation { disableSecondFactor { userErrors { code } } }', accessToken)
  }
  return { device, recoveryCodes, disable }
}
