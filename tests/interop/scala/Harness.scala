// The JVM's half of the interop suite. It lives in one of Spark's packages because RpcEnv is private to them.
package org.apache.spark.rpc.interop

import java.util.concurrent.{ConcurrentHashMap, ConcurrentLinkedQueue, Executors}

import scala.collection.mutable.ArrayBuffer
import scala.concurrent.Await
import scala.concurrent.duration._
import scala.io.StdIn
import scala.util.{Failure, Success, Try}

import org.apache.spark.{SecurityManager, SparkConf, SparkException}
import org.apache.spark.rpc._

/** Has a field of every kind. */
case class Everything(
    z: Boolean, b: Byte, c: Char, s: Short, i: Int, l: Long, f: Float, d: Double,
    text: String, nothing: String, bytes: Array[Byte], numbers: Array[Int],
    seq: Seq[String], set: Set[Int], map: Map[String, Int], option: Option[Long], none: Option[String],
    pair: (String, Int), triple: (Int, Boolean, String),
    nest: Seq[Map[String, (Int, Option[Seq[Long]])]], duration: FiniteDuration) {

  def show: String = Seq(z, b, c.toInt, s, i, l, f, d, text, nothing, bytes.mkString("[", " ", "]"),
    numbers.mkString("[", " ", "]"), seq.mkString("[", " ", "]"), set.toSeq.sorted.mkString("[", " ", "]"),
    map.toSeq.sorted.map { case (k, v) => s"$k:$v" }.mkString("[", " ", "]"), option, none, pair, triple,
    nest.map(_.toSeq.map { case (k, (n, o)) => s"$k:$n:${o.map(_.mkString(","))}" }.sorted.mkString(";"))
      .mkString("[", " ", "]"), duration.toMillis).mkString("|")
}

object Everything {
  val sample: Everything = Everything(
    true, -1, 'ß', -300, 1 << 20, -(1L << 40), 1.5f, -2.25, "grüße \u0000 😀", null, Array[Byte](1, -2, 3),
    Array(4, 5), Seq("a", "b"), Set(1, 2, 3, 4, 5, 6), Map("x" -> 1, "y" -> 2), Some(7L), None, ("p", 8),
    (9, false, "t"), Seq(Map("k" -> ((10, Some(Seq(11L, 12L))))), Map.empty[String, (Int, Option[Seq[Long]])]),
    1500.millis)
}

// With an id of its own: a one-way message has no answer from which a peer could learn another.
@SerialVersionUID(7L)
case class Note(n: Int)
case class Gather(index: Int, of: Int)
case class Carry(ref: RpcEndpointRef, note: String)
case object WhoAsks

/** Answers with what it is asked. */
class Echo(override val rpcEnv: RpcEnv) extends ThreadSafeRpcEndpoint {
  override def receiveAndReply(context: RpcCallContext): PartialFunction[Any, Unit] = {
    case message => context.reply(message)
  }
}

class Lab(override val rpcEnv: RpcEnv, events: ConcurrentLinkedQueue[String]) extends ThreadSafeRpcEndpoint {
  private val notes = new ConcurrentLinkedQueue[String]
  private val held = new ArrayBuffer[RpcCallContext]
  private val gathered = new ArrayBuffer[(Int, RpcCallContext)]

  override def receive: PartialFunction[Any, Unit] = {
    case Note(n) => notes.add(n.toString)
    case text: String => notes.add(text)
  }

  override def receiveAndReply(context: RpcCallContext): PartialFunction[Any, Unit] = {
    case "throw" => throw new IllegalStateException("thrown by the handler")
    case "fail" => context.sendFailure(new SparkException("an explicit failure", new java.io.IOException("its cause")))
    case "unserialisable" => context.reply(new Thread("not serialisable"))
    case "held" => context.reply(held.synchronized(held.size).toString)
    case "silent" => held.synchronized(held += context)
    case "release" => held.synchronized {
      held.foreach(_.reply("late"))
      context.reply(s"${held.size} released")
      held.clear()
    }
    case "notes" => context.reply(notes.toArray.mkString(","))
    case WhoAsks => context.reply(context.senderAddress)
    case everything: Everything => context.reply(everything.copy(i = everything.i + 1))
    case Gather(index, of) => gathered.synchronized {
      gathered += ((index, context))
      if (gathered.size == of) {
        // The last one first.
        gathered.reverseIterator.foreach { case (i, c) => c.reply(i * i) }
        gathered.clear()
      }
    }
    case Carry(ref, note) =>
      ref.send(Note(41))
      context.reply(ref.askSync[String](s"asked by a JVM: $note"))
  }

  override def onConnected(address: RpcAddress): Unit = events.add(s"connected $address")
  override def onDisconnected(address: RpcAddress): Unit = events.add(s"disconnected $address")
  override def onNetworkError(cause: Throwable, address: RpcAddress): Unit = events.add(s"error $address")
}

/** What our side calls back. */
class Callback(override val rpcEnv: RpcEnv) extends ThreadSafeRpcEndpoint {
  val notes = new ConcurrentLinkedQueue[Int]
  override def receive: PartialFunction[Any, Unit] = { case Note(n) => notes.add(n) }
  override def receiveAndReply(context: RpcCallContext): PartialFunction[Any, Unit] = {
    case text: String => context.reply(s"called back: $text, ${notes.toArray.mkString(",")}")
  }
}

/** Takes a command per line, `ID NAME ARGUMENT...`, and prints `ID ok RESULT` or `ID failed CLASS: MESSAGE`. */
object Harness {
  private val conf = new SparkConf(false).set("spark.rpc.askTimeout", "60s").set("spark.rpc.lookupTimeout", "60s")
    .set("spark.port.maxRetries", "0")
  private val envs = new ConcurrentHashMap[String, RpcEnv]
  private val kept = new ConcurrentHashMap[String, RpcEndpointRef]
  private val events = new ConcurrentLinkedQueue[String]

  /** Commands that have a file of their own. */
  private val more = Seq[PartialFunction[Array[String], String]](Files.commands, Application.commands)

  /** The env of that name, made at its first use: `client...`, `server...` or `server...@PORT`. */
  private[interop] def env(mode: String): RpcEnv = envs.computeIfAbsent(mode, _ => {
    val client = mode.startsWith("client")
    val port = mode.split('@').lift(1).fold(0)(_.toInt)
    val made = RpcEnv.create(s"interop-$mode", "127.0.0.1", port, conf, new SecurityManager(conf), clientMode = client)
    made.setupEndpoint("lab", new Lab(made, events))
    made.setupEndpoint("echo", new Echo(made))
    made
  })

  /** The reference that was kept under a name, `kept:NAME`, or one that is looked up. */
  private def ref(mode: String, uri: String): RpcEndpointRef =
    if (uri.startsWith("kept:")) kept.get(uri.stripPrefix("kept:")) else env(mode).setupEndpointRefByURI(uri)

  private def value(kind: String): Any = kind.split(":") match {
    case Array("string") => "grüße 😀"
    case Array("empty") => ""
    case Array("int") => 42
    case Array("long") => 1L << 40
    case Array("boolean") => true
    case Array("double") => 0.5
    case Array("unit") => ()
    case Array("null") => null
    case Array("none") => None
    case Array("some") => Some(1)
    case Array("list") => List("a", "b", "c")
    case Array("vector") => Vector(1, 2, 3)
    case Array("map") => (1 to 10).map(i => s"k$i" -> i).toMap
    case Array("set") => (1 to 10).toSet
    case Array("tuple") => (1, "b", Some(2L))
    case Array("nest") => Seq(Map("k" -> ((10, Option(Seq(11L, 12L))))), Map.empty)
    case Array("everything") => Everything.sample
    case Array("bytes", size) => Array.tabulate[Byte](size.toInt)(i => (i * 31).toByte)
    case Array("char") => 'x'
    case Array("long-string", size) => "x" * size.toInt
  }

  private def same(a: Any, b: Any): Boolean = (a, b) match {
    case (a: Array[Byte], b: Array[Byte]) => java.util.Arrays.equals(a, b)
    case (a: Everything, b: Everything) => a.show == b.show
    case (a: AnyRef, b: AnyRef) => a == b && a.getClass == b.getClass
    case _ => a == b
  }

  private def run(words: Array[String]): String = words match {
    case Array("address", mode) => env(mode).address.hostPort
    case Array("lookup", mode, uri) => env(mode).setupEndpointRefByURI(uri).toString
    case Array("keep", name, mode, uri) =>
      kept.put(name, env(mode).setupEndpointRefByURI(uri))
      "kept"
    case Array("echo", mode, uri, kind) =>
      val sent = value(kind)
      val got = env(mode).setupEndpointRefByURI(uri).askSync[Any](sent)
      if (same(sent, got)) "same" else s"$sent became $got"
    case Array("everything", mode, uri) =>
      val got = env(mode).setupEndpointRefByURI(uri).askSync[Everything](Everything.sample)
      val expected = Everything.sample.copy(i = Everything.sample.i + 1)
      if (got.show == expected.show) "same" else s"${expected.show}\u0001became\u0001${got.show}"
    case Array("ask", mode, uri, text) => String.valueOf(ref(mode, uri).askSync[Any](text))
    case Array("ask-value", mode, uri, kind) => String.valueOf(ref(mode, uri).askSync[Any](value(kind)))
    case Array("ask-within", mode, uri, millis, text) =>
      val timeout = new RpcTimeout(millis.toInt.millis, "interop.timeout")
      String.valueOf(ref(mode, uri).askSync[Any](text, timeout))
    case Array("who", mode, uri) => env(mode).setupEndpointRefByURI(uri).askSync[RpcAddress](WhoAsks).toString
    case Array("notes", mode, uri, count) =>
      val lab = ref(mode, uri)
      (1 to count.toInt).foreach(n => lab.send(Note(n)))
      lab.askSync[String]("notes")
    case Array("gather", mode, uri, count) =>
      val lab = ref(mode, uri)
      val asked = (0 until count.toInt).map(i => lab.ask[Int](Gather(i, count.toInt)))
      asked.map(Await.result(_, 60.seconds)).mkString(",")
    case Array("carry", mode, uri) =>
      val made = env(mode)
      val callback = new Callback(made)
      val name = s"callback-${System.nanoTime()}"
      val ref = made.setupEndpoint(name, callback)
      val reply = made.setupEndpointRefByURI(uri).askSync[String](Carry(ref, "note"))
      made.stop(ref)
      reply
    case Array("callback", mode, name) =>
      val made = env(mode)
      made.setupEndpoint(name, new Callback(made))
      s"spark://$name@${made.address.hostPort}"
    case Array("forward", mode, uri, third) =>
      val made = env(mode)
      made.setupEndpointRefByURI(uri).askSync[String](Carry(made.setupEndpointRefByURI(third), "third"))
    case Array("secure", more @ _*) => Secure.run(more)
    case Array("events") => events.toArray.mkString(",")
    case Array("stop", mode) =>
      Option(envs.remove(mode)).foreach { env => env.shutdown(); env.awaitTermination() }
      "stopped"
    case other => more.find(_.isDefinedAt(other)).map(_(other)).getOrElse(sys.error("no such command"))
  }

  def main(args: Array[String]): Unit = {
    val threads = Executors.newCachedThreadPool()
    val out = System.out
    // Nothing else may write there.
    System.setOut(System.err)
    out.println("ready")
    out.flush()
    Iterator.continually(StdIn.readLine()).takeWhile(_ != null).foreach { line =>
      threads.execute(() => {
        val words = line.split(" ")
        val result = Try(run(words.tail)) match {
          case Success(text) => s"ok $text"
          case Failure(error) =>
            val cause = if (error.getMessage != null && error.getMessage.startsWith("Exception thrown in awaitResult") &&
              error.getCause != null) error.getCause else error
            s"failed ${cause.getClass.getName}: ${cause.getMessage}"
        }
        out.synchronized {
          out.println(s"${words.head} ${result.replace('\n', '\u0001')}")
          out.flush()
        }
      })
    }
    Runtime.getRuntime.halt(0)
  }
}
