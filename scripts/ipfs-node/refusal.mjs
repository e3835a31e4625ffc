/** An answer other than 200. Kubo says 500 for whatever a command cannot do. */
export class Refusal extends Error {
  constructor (message, status = 500) {
    super(message)
    this.status = status
  }
}
