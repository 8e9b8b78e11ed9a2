import { createLocalBus } from '../../../shared/bus/local/create-local-bus.js';
import { describeBusContract } from './contract.js';

describeBusContract('in one process', async () => createLocalBus());
