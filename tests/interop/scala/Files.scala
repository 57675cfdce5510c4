package org.apache.spark.rpc.interop

import java.io.File
import java.net.URLDecoder
import java.nio.ByteBuffer
import java.nio.channels.{FileChannel, ReadableByteChannel}
import java.nio.file.Paths
import java.util.zip.CRC32

/** Files that a JVM serves, and files that it gets. Spaces in paths come as `%20`. */
object Files {
  private def file(path: String): File = new File(URLDecoder.decode(path, "UTF-8"))

  /** Length and checksum of all that comes. */
  private def sum(channel: ReadableByteChannel): String =
    try {
      val buffer = ByteBuffer.allocate(1 << 20)
      val crc = new CRC32
      var length = 0L
      while (channel.read(buffer) >= 0) {
        buffer.flip()
        length += buffer.remaining
        crc.update(buffer)
        buffer.clear()
      }
      f"$length ${crc.getValue}%08x"
    } finally channel.close()

  @volatile private var begun: Option[ReadableByteChannel] = None

  val commands: PartialFunction[Array[String], String] = {
    case Array("serve-file", mode, path) => Harness.env(mode).fileServer.addFile(file(path))
    case Array("serve-jar", mode, path) => Harness.env(mode).fileServer.addJar(file(path))
    case Array("serve-directory", mode, base, path) => Harness.env(mode).fileServer.addDirectory(base, file(path))
    case Array("fetch", mode, uri) => sum(Harness.env(mode).openChannel(uri))
    case Array("fetch-begin", mode, uri) =>
      val channel = Harness.env(mode).openChannel(uri)
      begun = Some(channel)
      channel.read(ByteBuffer.allocate(1)).toString
    case Array("fetch-end") => sum(begun.get)
    case Array("checksum", path) => sum(FileChannel.open(Paths.get(file(path).getPath)))
  }
}
