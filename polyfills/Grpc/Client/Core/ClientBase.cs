namespace Grpc.Core;

/// <summary>The base of generated clients, typed so that <see cref="WithHost"/> returns the client's own type.</summary>
public abstract class ClientBase<T> : ClientBase
    where T : ClientBase<T>
{
    protected ClientBase()
    {
    }

    protected ClientBase(ClientBaseConfiguration configuration)
        : base(configuration)
    {
    }

    public ClientBase(ChannelBase channel)
        : base(channel)
    {
    }

    public ClientBase(CallInvoker callInvoker)
        : base(callInvoker)
    {
    }

    /// <summary>The same client, whose calls name another authority.</summary>
    public T WithHost(string host) => NewInstance(Configuration.WithHost(host));

    protected abstract T NewInstance(ClientBaseConfiguration configuration);
}

public abstract class ClientBase
{
    /// <summary>For test doubles that override every call: any call that is not overridden throws.</summary>
    protected ClientBase()
        : this(new UnboundCallInvoker())
    {
    }

    protected ClientBase(ClientBaseConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        Configuration = configuration;
        CallInvoker = configuration.CreateInvoker();
    }

    public ClientBase(ChannelBase channel)
        : this((channel ?? throw new ArgumentNullException(nameof(channel))).CreateCallInvoker())
    {
    }

    public ClientBase(CallInvoker callInvoker)
        : this(new ClientBaseConfiguration(callInvoker, host: null))
    {
    }

    protected CallInvoker CallInvoker { get; }

    internal ClientBaseConfiguration Configuration { get; }

    /// <summary>What a client passes on to the instance that <see cref="ClientBase{T}.WithHost"/> makes of it.</summary>
    protected internal class ClientBaseConfiguration
    {
        private readonly CallInvoker invoker;
        private readonly string? host;

        internal ClientBaseConfiguration(CallInvoker invoker, string? host)
        {
            ArgumentNullException.ThrowIfNull(invoker);
            this.invoker = invoker;
            this.host = host;
        }

        internal CallInvoker CreateInvoker() => host is null ? invoker : new HostCallInvoker(invoker, host);

        internal ClientBaseConfiguration WithHost(string newHost) => new(invoker, newHost);
    }
}
