using System.Collections;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;

namespace Cluster.Worker.Tests.Agent;

public sealed class TrainerEnvironmentTests
{
    [Fact]
    public void For_ACpuSlot_SetsItsThreadsAndHidesTheGpus()
    {
        var environment = TrainerEnvironment.For(
            new Hashtable(), new TrainerLaunch { Device = "cpu:1", Threads = 3, Rank = 2, LocalRank = 1, WorldSize = 4 });

        environment["OMP_NUM_THREADS"].ShouldBe("3");
        environment["MKL_NUM_THREADS"].ShouldBe("3");
        environment["OMP_WAIT_POLICY"].ShouldBe("passive");
        environment["CUDA_VISIBLE_DEVICES"].ShouldBe("");
        (environment["RANK"], environment["LOCAL_RANK"], environment["WORLD_SIZE"]).ShouldBe(("2", "1", "4"));
    }

    [Fact]
    public void For_AGpu_ShowsThatOneByBusId()
    {
        var environment = TrainerEnvironment.For(new Hashtable(), new TrainerLaunch { Device = "cuda:3", Threads = 1 });

        (environment["CUDA_VISIBLE_DEVICES"], environment["CUDA_DEVICE_ORDER"]).ShouldBe(("3", "PCI_BUS_ID"));
    }

    [Fact]
    public void For_AnyDevice_PutsOurAllocatorBehindWhatIsSet()
    {
        var inherited = new Hashtable
        {
            ["LD_PRELOAD"] = "/opt/libtcmalloc.so",
            ["MALLOC_CONF"] = "thp:never",
            ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=0",
        };

        var environment = TrainerEnvironment.For(inherited, new TrainerLaunch { Device = "cpu:0", Threads = 1 }, "/lib/libjemalloc.so.2");

        environment["LD_PRELOAD"].ShouldBe("/opt/libtcmalloc.so:/lib/libjemalloc.so.2"); // the first that has malloc gives it
        environment["MALLOC_CONF"].ShouldEndWith(",thp:always,thp:never"); // the last setting counts
        environment["GLIBC_TUNABLES"].ShouldBe("glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0");
    }

    [Fact]
    public void For_AMachineWithoutJemalloc_LeavesTheCLibrarysHeapInPlace()
    {
        var environment = TrainerEnvironment.For(new Hashtable(), new TrainerLaunch { Device = "cpu:0", Threads = 1 }, jemalloc: null);

        environment.Keys.ShouldNotContain("LD_PRELOAD");
        environment["MALLOC_ARENA_MAX"].ShouldBe("1");
        environment["GLIBC_TUNABLES"].ShouldBe("glibc.malloc.hugetlb=1");
    }

    [Fact]
    public void Jemalloc_IsFoundInTheFirstFolderThatHasIt_OrNot()
    {
        var (empty, first, second) = (Directory.CreateTempSubdirectory("jemalloc-"), Directory.CreateTempSubdirectory("jemalloc-"),
            Directory.CreateTempSubdirectory("jemalloc-"));
        try
        {
            var files = new[] { first, second }.Select(folder => Path.Combine(folder.FullName, "libjemalloc.so.2")).ToList();
            files.ForEach(file => File.WriteAllBytes(file, []));

            Jemalloc.Find([empty.FullName, first.FullName, second.FullName]).ShouldBe(files[0]);
            Jemalloc.Find([empty.FullName]).ShouldBeNull();
        }
        finally
        {
            foreach (var folder in (DirectoryInfo[])[empty, first, second])
                folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void For_AnyDevice_PassesTheRestOnButNoSecrets()
    {
        var inherited = new Hashtable
        {
            ["PATH"] = "/bin",
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector:4317",
            ["CLUSTER_TOKEN"] = "secret",
            ["Agent__NodeTokenFile"] = "/token",
            ["ConnectionStrings__Cluster"] = "Password=secret",
        };

        var environment = TrainerEnvironment.For(inherited, new TrainerLaunch { Device = "cpu:0", Threads = 1 });

        environment["PATH"].ShouldBe("/bin");
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"].ShouldBe("http://collector:4317");
        environment.Keys.ShouldNotContain(
            key => inherited.ContainsKey(key) && key != "PATH" && !key.StartsWith("OTEL", StringComparison.Ordinal));
    }
}
