using Orleans.Runtime;

namespace Orleans.Runtime
{
    /// <summary>Anything that has an identity and can be called: a grain, or a reference to one.</summary>
    public interface IAddressable;
}

namespace Orleans
{
    /// <summary>Root of every grain interface; derive from one of the keyed ones instead.</summary>
    public interface IGrain : IAddressable;

    /// <summary>A grain addressed by a <see cref="Guid"/>.</summary>
    public interface IGrainWithGuidKey : IGrain;

    /// <summary>A grain addressed by a <see cref="long"/>.</summary>
    public interface IGrainWithIntegerKey : IGrain;

    /// <summary>A grain addressed by a string.</summary>
    public interface IGrainWithStringKey : IGrain;
}
