package sockjs

import "bytes"

const scriptType = "application/javascript; charset=UTF-8"

// lineFrame ends a frame with a line feed.
func lineFrame(dst, frame []byte) []byte { return append(append(dst, frame...), '\n') }

// The receiving transports.
var (
	xhr = format{contentType: scriptType, frame: lineFrame, once: true}
	// The prelude is what old browsers have to see before they show a response
	// that is not finished.
	xhrStreaming = format{contentType: scriptType, prelude: append(bytes.Repeat([]byte{'h'}, 2048), '\n'), frame: lineFrame}
	eventSource  = format{contentType: "text/event-stream; charset=UTF-8", prelude: []byte("\r\n"), frame: eventFrame}
)

// eventFrame is an event with one line of data, in which clients undo percent
// escapes.
func eventFrame(dst, frame []byte) []byte {
	dst = append(dst, "data: "...)
	for _, c := range frame {
		switch c {
		case '%':
			dst = append(dst, "%25"...)
		case '\r':
			dst = append(dst, "%0D"...)
		case '\n':
			dst = append(dst, "%0A"...)
		case 0:
			dst = append(dst, "%00"...)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n\r\n"...)
}
