namespace Cluster.Placement;

/// <summary>What a device is. A job's ranks are all on devices of one class.</summary>
public enum DeviceClass
{
    /// <summary>Cores of a node's processor; its CPU devices share the node's memory.</summary>
    Cpu = 0,

    /// <summary>A GPU, with memory of its own.</summary>
    Cuda = 1,
}
