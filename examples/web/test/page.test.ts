// The page in a browser, as a person uses it. Needs Chromium; CHROMIUM says where it is when it is not at Debian's place.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { chromium, type Browser, type Page } from 'playwright-core'
import { preview, type PreviewServer } from 'vite'

import { startDemo, type Demo } from './demo'
import { enrol } from './factor'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const skip = existsSync(CHROMIUM) ? false : `no browser at ${CHROMIUM}`

let demo: Demo
let site: PreviewServer
let browser: Browser
let page: Page
let origin: string
const complaints: string[] = []

before(async () => {
  if (skip) return
  const port = await freePort()
  origin = `http://127.0.0.1:${port}`
  demo = await startDemo(`${origin}/linked.html`)
  process.env.DASHTAM_URL = demo.url
  site = await preview({ preview: { port }, logLevel: 'error' })
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'] })
  page = await browser.newPage()
  page.on('console', message => { if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text()) })
  page.on('pageerror', problem => complaints.push(String(problem)))
})

after(async () => {
  await browser?.close()
  await site?.close()
  await demo?.stop()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** A picture for whoever asks for one by naming a folder. */
async function picture(name: string): Promise<void> {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true })
}

test('a person signs in, reads, links a bank in a tab of its own and signs out', { skip, timeout: 60_000 }, async () => {
  await page.goto(origin)
  await picture('1-sign-in')
  await page.getByLabel('E-mail').fill(demo.email)
  await page.getByLabel('Password').fill('not the password at all')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('e-mail or password is wrong').waitFor()

  await page.getByLabel('Password').fill(demo.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  const listed = page.getByRole('list').getByRole('button')
  await listed.first().waitFor()
  assert.equal(await listed.count(), 7)
  assert.match(await listed.first().innerText(), /Everyday Checking[^]*\$\d/)

  await listed.first().click()
  const rows = page.locator('tbody tr')
  await page.getByRole('button', { name: 'Older ones' }).waitFor()
  assert.equal(await rows.count(), 25)
  await page.getByRole('button', { name: 'Older ones' }).click()
  await rows.nth(49).waitFor()
  assert.equal(await rows.count(), 50)
  await picture('2-transactions')
  await page.setViewportSize({ width: 375, height: 700 })
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375, 'nothing sticks out on a phone')
  await page.emulateMedia({ colorScheme: 'dark' })
  await picture('3-phone-dark')
  await page.setViewportSize({ width: 1100, height: 800 })
  await page.emulateMedia({ colorScheme: 'light' })

  await page.getByRole('button', { name: 'Sandbox Bank' }).click()
  const opened = page.waitForEvent('popup')
  await page.getByRole('link', { name: 'Continue to Sandbox Bank' }).click()
  const bank = await opened
  await bank.getByRole('button', { name: 'Continue' }).click()
  await bank.getByRole('button', { name: 'Agree' }).waitFor()
  await bank.getByRole('button', { name: 'Agree' }).click()
  await bank.getByText('You can close this tab').waitFor()
  // What the bank said is out of the address as soon as the page's script has run, which may be after its words can be read.
  await bank.waitForURL(`${origin}/linked.html`)
  await bank.close()
  await page.getByText('Everything is here.').waitFor()
  await picture('4-linked')

  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ''], 'nothing is stored')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Password').waitFor()
  assert.equal(await page.getByLabel('Password').inputValue(), '')
  assert.equal(await rows.count(), 0)
  assert.deepEqual(complaints, [])
})

test('a person with a second factor types a code as well, and begins again when it takes too long', { skip, timeout: 60_000 }, async () => {
  const { device, recoveryCodes } = await enrol(demo.url, demo.email, demo.password)
  const passes = async (): Promise<void> => {
    await page.getByLabel('E-mail').fill(demo.email)
    await page.getByLabel('Password').fill(demo.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByLabel('Code').waitFor()
  }
  const shows = async (code: string): Promise<void> => {
    const answered = page.waitForResponse(answer => answer.request().postData()?.includes('verifySecondFactor') === true)
    await page.getByLabel('Code').fill(code)
    await page.getByRole('button', { name: 'Go on' }).click()
    await answered
  }
  await page.goto(origin)
  await passes()
  await picture('5-code')
  await page.getByRole('button', { name: 'Back' }).click()
  assert.equal(await page.getByLabel('Password').inputValue(), '')

  await passes()
  for (let wrong = 0; wrong < 5; wrong += 1) await shows('000000')
  await shows(recoveryCodes[0]!)
  await page.getByText(/sign in again/i).waitFor()
  assert.equal(await page.getByLabel('Password').isVisible(), true)

  await passes()
  await shows(device.generate({ timestamp: Date.now() + 30_000 }))
  await page.getByRole('list').getByRole('button').first().waitFor()
  assert.equal(await page.getByLabel('Code').isVisible(), false)
  assert.deepEqual(complaints, [])
})
