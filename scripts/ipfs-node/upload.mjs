// The files of a multipart/form-data request, one after the other, as they arrive.
import busboy from 'busboy'

/**
 * Call `each(file)` for every file of the request ({ name, bytes }) and resolve to the results.
 * Rejects with `tooLarge()` once the request exceeds `maxBytes`.
 */
export async function eachFile (request, { maxBytes, tooLarge }, each) {
  const form = busboy({ headers: request.headers, limits: { fields: 0 } })
  const results = []
  return new Promise((resolve, reject) => {
    let turn = Promise.resolve()
    let total = 0
    const stop = error => {
      request.unpipe(form)
      form.destroy()
      reject(error)
    }
    request.on('data', part => {
      total += part.length
      if (total > maxBytes) stop(tooLarge())
    })
    request.once('aborted', () => stop(new Error('the client went away')))
    form.on('file', (_, stream, { filename }) => {
      stream.on('error', () => {}) // said once, by the form
      turn = turn.then(async () => { results.push(await each({ name: filename, bytes: stream })) })
      turn.catch(stop)
    })
    form.once('error', stop)
    form.once('close', () => turn.then(() => resolve(results), reject))
    request.pipe(form)
  })
}
