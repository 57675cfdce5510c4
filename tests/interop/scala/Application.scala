package org.apache.spark.rpc.interop

import org.apache.spark.{SparkConf, SparkContext}

/** An application of a standalone cluster. */
object Application {
  @volatile private var context: Option[SparkContext] = None

  val commands: PartialFunction[Array[String], String] = {
    case Array("application-start", master, name) =>
      val conf = new SparkConf(false).setMaster(master).setAppName(name)
        .set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
        .set("spark.ui.enabled", "false").set("spark.cores.max", "1").set("spark.executor.memory", "512m")
        .set("spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1")
      val made = new SparkContext(conf)
      context = Some(made)
      // Comes back when an executor has done it.
      s"${made.applicationId} ${made.parallelize(1 to 1000, 2).count()}"
    case Array("application-stop") =>
      context.foreach(_.stop())
      "stopped"
  }
}
