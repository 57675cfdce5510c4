// Envs and bare transports under any settings of authentication and encryption.
package org.apache.spark.rpc.interop

import java.io.{ByteArrayOutputStream, File}
import java.nio.ByteBuffer
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Collections
import java.util.concurrent.{CompletableFuture, ConcurrentHashMap, TimeUnit}

import org.apache.spark.{SecurityManager, SparkConf}
import org.apache.spark.network.TransportContext
import org.apache.spark.network.buffer.{ManagedBuffer, NioManagedBuffer}
import org.apache.spark.network.client.{ChunkReceivedCallback, RpcResponseCallback, TransportClient, TransportClientBootstrap}
import org.apache.spark.network.crypto.{AuthClientBootstrap, AuthServerBootstrap}
import org.apache.spark.network.netty.SparkTransportConf
import org.apache.spark.network.server.{OneForOneStreamManager, RpcHandler, TransportServer, TransportServerBootstrap}
import org.apache.spark.network.util.TransportConf
import org.apache.spark.rpc._

/** Answers a number with so many bytes, and anything else with itself. */
class Vault(override val rpcEnv: RpcEnv) extends ThreadSafeRpcEndpoint {
  override def receiveAndReply(context: RpcCallContext): PartialFunction[Any, Unit] = {
    case size: Int => context.reply(Secure.pattern(size))
    case other => context.reply(other)
  }
}

/** Registers a stream of as many chunks of a size as it is asked for, and answers with its id. */
class ChunkServer extends RpcHandler {
  private val streams = new OneForOneStreamManager

  override def receive(client: TransportClient, message: ByteBuffer, callback: RpcResponseCallback): Unit = {
    val Array(count, size) = UTF_8.decode(message).toString.split(" ").map(_.toInt)
    val chunks = Array.fill[ManagedBuffer](count)(new NioManagedBuffer(ByteBuffer.wrap(Secure.pattern(size))))
    val id = streams.registerStream(client.getClientId, java.util.Arrays.asList(chunks: _*).iterator, client.getChannel)
    callback.onSuccess(UTF_8.encode(id.toString))
  }

  override def getStreamManager: OneForOneStreamManager = streams
}

object Secure {
  private val envs = new ConcurrentHashMap[String, RpcEnv]
  private val servers = new ConcurrentHashMap[String, (TransportContext, TransportServer)]

  def pattern(size: Int): Array[Byte] = {
    val bytes = new Array[Byte](size)
    var i = 0
    while (i < size) {
      bytes(i) = (i * 31).toByte
      i += 1
    }
    bytes
  }

  private def checked(bytes: Array[Byte]): String =
    if (java.util.Arrays.equals(bytes, pattern(bytes.length))) s"${bytes.length} right" else s"${bytes.length} wrong"

  private def conf(pairs: Seq[String]): SparkConf = {
    val made = new SparkConf(false)
    pairs.foreach { pair =>
      val Array(key, value) = pair.split("=", 2)
      made.set(key, value)
    }
    made
  }

  /** With TLS where this Spark has it. */
  private def transport(conf: SparkConf, security: SecurityManager): TransportConf = {
    val make = SparkTransportConf.getClass.getMethods.find(_.getName == "fromSparkConf").get
    val threads = Int.box(1)
    val made = if (make.getParameterCount == 4) {
      make.invoke(SparkTransportConf, conf, "rpc", threads, None)
    } else {
      val ssl = classOf[SecurityManager].getMethod("getRpcSSLOptions").invoke(security)
      make.invoke(SparkTransportConf, conf, "rpc", threads, None, Some(ssl))
    }
    made.asInstanceOf[TransportConf]
  }

  private def fetch(host: String, port: Int, count: Int, size: Int, conf: SparkConf): String = {
    val security = new SecurityManager(conf)
    val settings = transport(conf, security)
    val context = new TransportContext(settings, new ChunkServer)
    val bootstraps: java.util.List[TransportClientBootstrap] =
      if (security.isAuthenticationEnabled()) {
        Collections.singletonList(new AuthClientBootstrap(settings, security.getSaslUser(), security))
      } else {
        Collections.emptyList()
      }
    val factory = context.createClientFactory(bootstraps)
    try {
      val client = factory.createClient(host, port)
      val id = UTF_8.decode(client.sendRpcSync(UTF_8.encode(s"$count $size"), 20000)).toString.toLong
      val sums = (0 until count).map { index =>
        val done = new CompletableFuture[String]
        client.fetchChunk(id, index, new ChunkReceivedCallback {
          override def onSuccess(index: Int, buffer: ManagedBuffer): Unit = {
            val bytes = new Array[Byte](buffer.size.toInt)
            buffer.nioByteBuffer.get(bytes)
            done.complete(checked(bytes))
          }
          override def onFailure(index: Int, error: Throwable): Unit = done.completeExceptionally(error)
        })
        done
      }
      sums.map(_.get(20, TimeUnit.SECONDS)).distinct.mkString(",")
    } finally {
      factory.close()
      context.close()
    }
  }

  private def read(env: RpcEnv, uri: String): String = {
    val channel = env.openChannel(uri)
    try {
      val bytes = new ByteArrayOutputStream
      val buffer = ByteBuffer.allocate(1 << 16)
      while (channel.read(buffer) >= 0) {
        bytes.write(buffer.array, 0, buffer.position())
        buffer.clear()
      }
      checked(bytes.toByteArray)
    } finally {
      channel.close()
    }
  }

  private def chain(error: Throwable): Seq[String] =
    Iterator.iterate(error)(_.getCause).takeWhile(_ != null).take(8).map(e => s"${e.getClass.getName}: ${e.getMessage}").toSeq

  /** What an operator finds in a log: all causes. */
  private def explained[T](work: => T): T = try work catch {
    case error: Throwable => throw new RuntimeException(chain(error).mkString(" | "))
  }

  def run(words: Seq[String]): String = explained(words match {
    case Seq("server", name, pairs @ _*) =>
      val settings = conf(pairs)
      val env = RpcEnv.create(name, "127.0.0.1", 0, settings, new SecurityManager(settings), clientMode = false)
      env.setupEndpoint("vault", new Vault(env))
      envs.put(name, env)
      env.address.hostPort
    case Seq("client", name, pairs @ _*) =>
      val settings = conf(pairs)
      envs.put(name, RpcEnv.create(name, "127.0.0.1", 0, settings, new SecurityManager(settings), clientMode = true))
      name
    case Seq("serve", name, path) => envs.get(name).fileServer.addFile(new File(path))
    case Seq("ask", name, uri) => envs.get(name).setupEndpointRefByURI(uri).askSync[String]("hello")
    case Seq("bytes", name, uri, size) =>
      checked(envs.get(name).setupEndpointRefByURI(uri).askSync[Array[Byte]](size.toInt))
    case Seq("read", name, uri) => read(envs.get(name), uri)
    case Seq("chunk-server", name, pairs @ _*) =>
      val settings = conf(pairs)
      val security = new SecurityManager(settings)
      val made = transport(settings, security)
      val context = new TransportContext(made, new ChunkServer)
      val bootstraps: java.util.List[TransportServerBootstrap] =
        if (security.isAuthenticationEnabled()) {
          Collections.singletonList(new AuthServerBootstrap(made, security))
        } else {
          Collections.emptyList()
        }
      val server = context.createServer("127.0.0.1", 0, bootstraps)
      servers.put(name, (context, server))
      server.getPort.toString
    case Seq("chunks", host, port, count, size, pairs @ _*) =>
      fetch(host, port.toInt, count.toInt, size.toInt, conf(pairs))
    case Seq("stop", name) =>
      Option(envs.remove(name)).foreach(_.shutdown())
      Option(servers.remove(name)).foreach { case (context, server) =>
        server.close()
        context.close()
      }
      "stopped"
  })
}
